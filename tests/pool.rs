//! What the synthesizers of a pool share, in a process of its own: no other test takes memory meanwhile.
#![cfg(all(target_os = "linux", feature = "embed", feature = "ort"))]

use kokoro_model::{METADATA, PREPARED, Pool, Style, Synthesizer, SynthesizerOptions, tokenize};

mod common;

/// Memory of this process, in megabytes.
fn resident() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
}

#[test]
fn weights_are_there_once() {
    assert!(!PREPARED.is_empty(), "the chosen artifact was prepared");
    let runtime = common::runtime();
    let options = SynthesizerOptions::for_artifact(&METADATA).threads(1);
    let mut taken = vec![resident()];
    let pool = Pool::new(4, || {
        let synthesizer = Synthesizer::embedded_with(&runtime, &options);
        taken.push(resident());
        synthesizer
    });
    let pool = pool.unwrap();
    println!("{taken:?} MB");
    let first = taken[1] - taken[0];
    assert!(first > 200, "the weights are floats: {taken:?} MB");
    let most = taken[1..].windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap();
    assert!(most <= 120, "{taken:?} MB");

    // The row of `af_heart` for 13 phonemes (Kokoro-82M by hexgrad, Apache-2.0).
    let row = include_bytes!("data/af_heart-13.f32").as_chunks::<4>().0;
    let style = Style::new(std::array::from_fn(|index| f32::from_le_bytes(row[index]))).unwrap();
    let tokens = tokenize("həlˈO wˈɜɹld.").unwrap();
    let mut all: Vec<_> = (0..4).map(|_| pool.checkout()).collect();
    let said = all[0].speak_tokens(&tokens, &style, 1.0).unwrap();
    assert!(said.samples.iter().any(|sample| sample.abs() > 0.05), "it is heard");
    assert_eq!(all[3].speak_tokens(&tokens, &style, 1.0).unwrap(), said);
    drop((all, pool));
    let mut later = Synthesizer::embedded_with(&runtime, &options).unwrap();
    assert_eq!(later.speak_tokens(&tokens, &style, 1.0).unwrap(), said, "behind all that shared");
}
