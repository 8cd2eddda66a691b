//! The real networks of DNSMOS, from the user's cache or fetched, on sounds that are made here.

use kokoro_model::Runtime;
use xtask::fetch::SourceArgs;
use xtask::fidelity::{Dnsmos, DnsmosModels, Scores};

/// Samples per second.
const RATE: f64 = kokoro_model::SAMPLE_RATE as f64;

fn dnsmos() -> (Runtime, DnsmosModels) {
    let workspace = crate::support::program::workspace();
    let make = || -> anyhow::Result<_> {
        let (recipe, fetcher) = (workspace.recipe()?, workspace.fetcher(&SourceArgs::default())?);
        let models = workspace.dnsmos(&fetcher, &recipe)?.expect("the recipe names the networks");
        Ok((workspace.runtime(&fetcher)?.0, models))
    };
    make().unwrap_or_else(|error| {
        panic!("no networks: {error:#}\nhint: run `cargo xtask fetch` once, where there is a network")
    })
}

/// Syllables of a buzz that glides from 110 to 190 Hz, with 31 harmonics that fall by 12 dB an octave.
fn syllables(seconds: f64) -> Vec<f32> {
    let mut phase = 0.0;
    let sample = |n: usize| {
        let time = n as f64 / RATE;
        phase += std::f64::consts::TAU * (150.0 + 40.0 * (3.0 * time).sin()) / RATE;
        let envelope = (std::f64::consts::PI * ((time / 0.3).fract() / 0.667).min(1.0)).sin().powi(2);
        let harmonics = (1..32).map(|k| 0.2 * (phase * f64::from(k)).sin() / f64::from(k * k));
        (envelope * harmonics.sum::<f64>()) as f32
    };
    (0..(seconds * RATE) as usize).map(sample).collect()
}

fn with_static(mut samples: Vec<f32>, largest: f32) -> Vec<f32> {
    let mut state = 1_u32;
    for sample in &mut samples {
        // The generator of Numerical Recipes; its high bits are random enough to be heard as static.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample += largest * (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32;
    }
    samples
}

#[track_caller]
fn assert_close(found: Scores, expected: [f64; 4], tolerance: f64) {
    let found = [found.ovrl, found.sig, found.bak, found.p808];
    let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < tolerance);
    assert!(close, "{found:?}, expected {expected:?}");
}

/// The expected scores are those of the package `speechmos` 0.0.1.1 for the same samples, resampled by librosa 0.11 and
/// cut to the one window that is heard here. Static reaches up to where that filter and ours differ a little.
#[test]
fn the_networks_say_what_their_package_says() {
    let (runtime, models) = dnsmos();
    let mut dnsmos = Dnsmos::load(&runtime, &models).unwrap();
    for (samples, expected, tolerance) in [
        (syllables(9.5), [1.6801, 1.8684, 3.6617, 2.2476], 0.01),
        (syllables(3.0), [1.8019, 2.0276, 3.7221, 2.2219], 0.01),
        (with_static(syllables(9.5), 0.02), [1.9350, 3.1224, 2.2298, 2.4004], 0.02),
    ] {
        assert_close(dnsmos.rate(&samples).unwrap(), expected, tolerance);
    }
}

#[test]
fn what_cannot_be_heard_is_refused() {
    let (runtime, models) = dnsmos();
    let mut dnsmos = Dnsmos::load(&runtime, &models).unwrap();
    assert_eq!(dnsmos.rate(&[]).unwrap_err().to_string(), "DNSMOS: expected samples, found none");
    let error = dnsmos.rate(&[0.0, f32::NAN]).unwrap_err();
    assert_eq!(error.to_string(), "DNSMOS: expected finite samples, found another at 1");
    // Beyond full scale it is as a WAV file would be.
    let loud: Vec<f32> = syllables(9.5).iter().map(|sample| 20.0 * sample).collect();
    let clipped: Vec<f32> = loud.iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
    assert_eq!(dnsmos.rate(&loud).unwrap(), dnsmos.rate(&clipped).unwrap());
}
