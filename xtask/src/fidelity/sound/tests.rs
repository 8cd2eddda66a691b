//! All metrics together, on sounds of which the answer is known.

use realfft::RealFftPlanner;

use super::signals::{noise, scaled, speech, sum};
use super::*;
use crate::fidelity::metric::aggregate;

fn metrics(sound: &Sound) -> Vec<(&'static str, Better, f64)> {
    Sound::METRICS.iter().map(|it| (it.name, it.better, (it.value)(sound).unwrap())).collect()
}

#[test]
fn a_copy_is_perfect() {
    // Odd lengths, less than a frame, less than any frame's hop, one sample.
    for count in [72_001, 24_000, 1023, 333, 49, 1] {
        let a = speech(count);
        let sound = compare_sound(&a, &a).unwrap();
        for (name, better, value) in metrics(&sound) {
            let expected = if better == Better::Higher { 200.0 } else { 0.0 };
            assert_eq!(value, expected, "{name} of {count} samples");
        }
    }
}

#[test]
fn short_and_odd_sounds_are_measured() {
    for count in [30_001, 1023, 333, 49] {
        let a = noise(1, count, 0.1);
        let sound = compare_sound(&a, &scaled(&a, 2.0)).unwrap();
        let six = 20.0 * 2.0_f64.log10();
        assert!((sound.lsd_db - six).abs() < 0.05, "{count}: {}", sound.lsd_db);
        assert!((sound.loudness_lu - six).abs() < 1e-6, "{count}: {}", sound.loudness_lu);
        assert!((sound.peak_db - six).abs() < 1e-6, "{count}: {}", sound.peak_db);
        assert!(sound.snr_db.abs() < 1e-6, "{count}: {}", sound.snr_db);
    }
}

#[test]
fn silence_beside_silence_is_a_copy() {
    let silence = vec![0.0; 5000];
    let sound = compare_sound(&silence, &silence).unwrap();
    assert_eq!((sound.lsd_db, sound.snr_db, sound.octave_db.worst_db), (0.0, 200.0, 0.0));
    let sound = compare_sound(&silence, &speech(5000)).unwrap();
    assert!(sound.lsd_db > 100.0 && sound.snr_db == -200.0 && sound.loudness_lu > 30.0, "{sound:?}");
}

#[test]
fn what_is_no_number_fails_every_metric() {
    let a = speech(24_000);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        let mut b = a.clone();
        b[12_345] = bad;
        let sound = compare_sound(&a, &b).unwrap();
        assert_eq!(sound.not_finite, 1);
        for (name, better, value) in metrics(&sound) {
            match name {
                "not_finite" | "clipped_runs" => assert!(value >= 1.0, "{name}"),
                _ if better == Better::Higher => assert_eq!(value, -WORST, "{name}"),
                _ => assert_eq!(value, WORST, "{name}"),
            }
        }
    }
    let sound = compare_sound(&a, &vec![f32::NAN; a.len()]).unwrap();
    assert_eq!((sound.not_finite, sound.clipped_runs), (24_000, 24_000));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let refused = |a: &[f32], b: &[f32]| compare_sound(a, b).unwrap_err();
    assert_eq!(refused(&[], &[]), SoundError::Empty);
    assert_eq!(refused(&[0.0; 3], &[]), SoundError::Lengths { reference: 3, candidate: 0 });
    let error = refused(&[0.0; 480], &[0.0; 481]);
    assert_eq!(error, SoundError::Lengths { reference: 480, candidate: 481 });
    assert_eq!(error.to_string(), "sound: expected the 480 samples of the base, found 481");
    assert_eq!(refused(&[0.0, f32::NAN], &[0.0; 2]), SoundError::ReferenceNotFinite { index: 1 });
}

/// Static of which a mean over mel bands tells next to nothing: it is 30 dB and more below the speech.
#[test]
fn static_in_the_pauses_shows_in_the_octaves() {
    let a = speech(96_000);
    for (level, octave_db, log_mel_l1) in [(-50.0, 25.0, 0.6), (-70.0, 8.0, 0.1)] {
        let b = sum(&a, &noise(13, a.len(), 10.0_f64.powf(level / 20.0)));
        let sound = compare_sound(&a, &b).unwrap();
        assert!(sound.octave_db.worst_db > octave_db, "{:?}", sound.octave_db);
        assert_eq!(sound.octave_db.worst_band, "8 kHz");
        assert!(sound.log_mel_l1 < log_mel_l1, "{level} dB: {} Np", sound.log_mel_l1);
        assert!(sound.loudness_lu.abs() < 0.05, "{level} dB: {} LU", sound.loudness_lu);
    }
}

/// Phases turned by a quarter, and a bit more or less from one frequency to the next, are not heard.
#[test]
fn scrambled_phases_spoil_the_ratio_and_hardly_the_spectrum() {
    let a = noise(15, 48_000, 0.1);
    let mut planner = RealFftPlanner::new();
    let (forward, inverse) = (planner.plan_fft_forward(a.len()), planner.plan_fft_inverse(a.len()));
    let (mut samples, mut spectrum) = (a.clone(), forward.make_output_vec());
    forward.process(&mut samples, &mut spectrum).unwrap();
    let (scale, last) = (1.0 / a.len() as f32, spectrum.len() - 1);
    for (bin, value) in spectrum.iter_mut().enumerate() {
        let turn = 9.0 * bin as f32 / last as f32;
        let phase = std::f32::consts::FRAC_PI_2 + turn.sin();
        let (sin, cos) = phase.sin_cos();
        (value.re, value.im) =
            (scale * (value.re * cos - value.im * sin), scale * (value.re * sin + value.im * cos));
    }
    // A real sound has no phase at 0 Hz and at Nyquist's frequency.
    (spectrum[0].im, spectrum[last].im) = (0.0, 0.0);
    inverse.process(&mut spectrum, &mut samples).unwrap();
    let sound = compare_sound(&a, &samples).unwrap();
    assert!(sound.snr_db < 0.0, "{}", sound.snr_db);
    assert!(sound.lsd_db < 1.0, "{}", sound.lsd_db);
    assert!(sound.octave_db.worst_db < 1.0, "{:?}", sound.octave_db);
}

#[test]
fn an_output_pinned_at_the_rail_is_seen() {
    let a = speech(48_000);
    let sound = compare_sound(&a, &vec![1.0; a.len()]).unwrap();
    assert_eq!(sound.clipped_runs, 1);
    assert!(sound.dc > 0.9 && sound.peak_db > 3.0 && sound.snr_db < -10.0, "{sound:?}");
}

#[test]
fn everything_can_be_written_and_read() {
    let (a, b) = (speech(24_000), noise(16, 24_000, 0.1));
    let broken = vec![f32::NAN; a.len()];
    for sound in [compare_sound(&a, &b).unwrap(), compare_sound(&a, &broken).unwrap()] {
        let read: Sound = serde_json::from_str(&serde_json::to_string(&sound).unwrap()).unwrap();
        assert_eq!(read.octave_db.worst_band, sound.octave_db.worst_band);
        for ((name, _, a), (_, _, b)) in metrics(&sound).into_iter().zip(metrics(&read)) {
            // The last digit of a number that was read may differ.
            assert!((a - b).abs() <= 1e-12 * a.abs(), "{name}: {a}, read as {b}");
        }
    }
}

#[test]
fn sentences_make_an_aggregate_per_metric() {
    let a = speech(24_000);
    let sounds = [1.0, 0.5, 1.1].map(|gain| compare_sound(&a, &scaled(&a, gain)).unwrap());
    let [copy, half, louder] = &sounds;
    let aggregates = aggregate(&Sound::METRICS, &[("copy", copy), ("half", half), ("louder", louder)]);
    assert_eq!(aggregates.len(), Sound::METRICS.len());
    for name in ["lsd_db", "snr_db", "octave_db", "loudness_lu", "peak_db"] {
        assert_eq!(aggregates[name].worst_id, "half", "{name}");
    }
    assert!((aggregates["loudness_lu"].worst - 20.0 * 2.0_f64.log10()).abs() < 1e-6);
    assert_eq!(aggregates["clipped_runs"].worst, 0.0);
}
