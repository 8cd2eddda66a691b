//! What the kernels take on one thread, for each instruction set of this processor, beside what its memory gives.
//!
//!     cargo bench --no-default-features --features probe --bench kernels
//!
//! The tensor is that of the last blocks of the generator when it says some six seconds: 128 channels of 28,921 values.
//! Bytes are counted as if each value was read once and written once; the bandwidth of memory is that of a copy and of a
//! triad `a = b + s·c`, over arrays too large for any cache. Criterion's elements are floating-point operations: those of
//! the formulas, where a value is computed, and none where it is looked up; for convolutions two for each tap of the plain sum, so that the
//! rate can be above the processor's.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kokoro_model::kernels::{
    Activation, Chain, Channel, Convolution, InstructionSet, Kernels, Levels, Norm, Precision, Statistics,
    Stft, Weights,
};

const CHANNELS: usize = 128;
const TIME: usize = 28_921;
const VALUES: u64 = (CHANNELS * TIME) as u64;

/// Additions, multiplications, divisions and comparisons for one value, in each step.
const STATISTICS_FLOPS: u64 = 4;
const NORM_FLOPS: u64 = 3;
const SNAKE_FLOPS: u64 = 19;
const QUANTIZE_FLOPS: u64 = 3;

const NORM: Norm = Norm { scale: 1.3, bias: -0.2, epsilon: 1e-5 };
const SNAKE: Activation = Activation::Snake { alpha: 0.7 };

/// Numbers of a speech-like spread that are the same in every run.
fn noise(length: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    (0..length).map(|_| 2.0 * (next() + next() + next())).collect()
}

fn kernels(criterion: &mut Criterion) {
    let x = noise(CHANNELS * TIME);
    let mut y = vec![0.0_f32; x.len()];
    let mut levels = Levels::default();
    let chain = Chain { norm: Some(NORM), activation: SNAKE };
    let statistics = Statistics { mean: 0.1, variance: 1.0 };
    let channels = vec![Channel::new(Some(NORM), SNAKE, || statistics); CHANNELS];

    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let Ok(kernels) = Kernels::of(set) else { continue };
        let mut measure = |name: &str, bytes: u64, flops: u64, run: &mut dyn FnMut()| {
            let mut group = criterion.benchmark_group(name);
            let (bytes, elements) = (bytes * VALUES, flops * VALUES);
            group.throughput(Throughput::ElementsAndBytes { elements, bytes });
            group.bench_function(BenchmarkId::from_parameter(set), |bencher| bencher.iter(&mut *run));
            group.finish();
        };
        let norm_snake = STATISTICS_FLOPS + NORM_FLOPS + SNAKE_FLOPS;
        measure("adain-snake", 8, norm_snake, &mut || {
            for (x, y) in x.chunks(TIME).zip(y.chunks_mut(TIME)) {
                chain.apply(x, y, kernels);
            }
        });
        measure("statistics", 4, STATISTICS_FLOPS, &mut || {
            for x in x.chunks(TIME) {
                black_box(Statistics::of(x, kernels));
            }
        });
        measure(
            "norm, snake, levels of each position",
            5,
            NORM_FLOPS + SNAKE_FLOPS + QUANTIZE_FLOPS,
            &mut || {
                for part in levels.parts(CHANNELS, TIME, Precision::Bits8) {
                    part.compute(&x, &channels, kernels);
                }
            },
        );
    }
}

/// Channels, rows, taps, dilation and positions of convolutions of a Kokoro decoder, in a sentence of six seconds.
const CONVOLUTIONS: [[usize; 5]; 6] = [
    [128, 128, 3, 1, 28_921],
    [128, 128, 7, 3, 28_921],
    [128, 128, 11, 5, 28_921],
    [256, 256, 7, 1, 4_820],
    [1024, 1024, 3, 1, 241],
    [256, 768, 2, 1, 4_821],
];

fn convolutions(criterion: &mut Criterion) {
    for [channels, rows, taps, dilation, time] in CONVOLUTIONS {
        let pad = dilation * (taps - 1) / 2;
        let pads = [pad, dilation * (taps - 1) - pad];
        let convolution = Convolution { channels, taps, dilation, pads, phases: 1 };
        let (x, w) = (noise(channels * time), noise(rows * channels * taps));
        let packed: Vec<i8> =
            noise(Weights::count(rows, channels, taps)).iter().map(|w| (w * 32.0) as i8).collect();
        let scales = vec![0.01; rows];
        let as_it_is = vec![Channel::new(None, Activation::None, Statistics::default); channels];
        let mut levels = Levels::default();
        let mut y = vec![0.0; rows * time];
        let name = format!("convolution {channels} to {rows}, {taps} taps, dilation {dilation}");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements((2 * channels * rows * taps * time) as u64));
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let Ok(kernels) = Kernels::of(set) else { continue };
            group.bench_function(BenchmarkId::new("float", set), |bencher| {
                bencher.iter(|| {
                    for part in convolution.parts(&mut y, time) {
                        convolution.compute(&x, &w, None, part, kernels);
                    }
                });
            });
            for part in levels.parts(channels, time, Precision::Bits8) {
                part.compute(&x, &as_it_is, kernels);
            }
            let weights = Weights { levels: &packed, scales: &scales, bias: None };
            group.bench_function(BenchmarkId::new("int8", set), |bencher| {
                bencher.iter(|| {
                    for part in convolution.quantized_parts(&mut y, time) {
                        convolution.quantized(&levels, time, weights, &[], part, kernels);
                    }
                });
            });
        }
        group.finish();
    }
}

/// The transform of Kokoro: frames of 20 samples, 5 apart.
fn transform(criterion: &mut Criterion) {
    const STEP: usize = 5;
    let signal = noise(STEP * TIME);
    let stft = Stft::new(&[1.0; 20]);
    let frames = stft.frames(signal.len(), STEP);
    let mut spectra = vec![0.0; frames * stft.numbers()];
    let mut group = criterion.benchmark_group("stft");
    group.throughput(Throughput::Bytes(4 * (signal.len() + spectra.len()) as u64));
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let Ok(kernels) = Kernels::of(set) else { continue };
        group.bench_function(BenchmarkId::from_parameter(set), |bencher| {
            bencher.iter(|| stft.transform(&signal, STEP, &mut spectra, kernels));
        });
    }
    group.finish();
}

fn memory(criterion: &mut Criterion) {
    const LENGTH: usize = 32 << 20;
    let (b, c) = (vec![1.0_f32; LENGTH], vec![2.0_f32; LENGTH]);
    let mut a = vec![0.0_f32; LENGTH];
    let mut group = criterion.benchmark_group("memory");
    group.throughput(Throughput::Bytes(8 * LENGTH as u64));
    group.bench_function("copy", |bencher| {
        bencher.iter(|| black_box(&mut a[..]).copy_from_slice(black_box(&b)));
    });
    group.throughput(Throughput::Bytes(12 * LENGTH as u64));
    group.bench_function("triad", |bencher| {
        bencher.iter(|| {
            for ((a, &b), &c) in black_box(&mut a[..]).iter_mut().zip(&b).zip(&c) {
                *a = b + 3.0 * c;
            }
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = kernels, convolutions, transform, memory
}
criterion_main!(benches);
