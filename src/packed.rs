//! The styles that the binary holds, as `build/packing.rs` packed them.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use crate::error::{Error, ErrorKind};
use crate::voice::{MAX_PHONEMES, STYLE_LEN, VoiceStyles};
use crate::voices::Voice;

include!(concat!(env!("OUT_DIR"), "/packed.rs"));

/// What one step is worth. Values were rounded to the nearest step, so none is off by more than half of one, 2^−17.
const STEP: f32 = 1.0 / 65_536.0;

/// The styles of a voice.
pub(crate) fn styles(voice: Voice) -> Result<VoiceStyles, Error> {
    let index = voice as usize;
    let Some(&end) = ENDS.get(index) else { return Err(ErrorKind::NoVoicesEmbedded.into()) };
    let start = if index == 0 { 0 } else { ENDS[index - 1] };
    unpack(&PACKED[start..end]).ok_or_else(|| ErrorKind::VoiceDamaged { voice }.into())
}

/// `None` for a stream that is not that of a voice. The checksum of zlib finds what changed by accident.
fn unpack(stream: &[u8]) -> Option<VoiceStyles> {
    let mut codes = Vec::with_capacity(MAX_PHONEMES * STYLE_LEN * 5 / 4);
    // No code takes more than five bytes, so that no stream can fill the memory.
    let most = MAX_PHONEMES * STYLE_LEN * 5;
    ZlibDecoder::new(stream).take(most as u64).read_to_end(&mut codes).ok()?;
    let mut codes = codes.into_iter();
    let mut rows = vec![[0.0_f32; STYLE_LEN]; MAX_PHONEMES];
    for column in 0..STYLE_LEN {
        let (mut step, mut slope) = (0_i32, 0_i32);
        for row in &mut rows {
            slope = slope.checked_add(next(&mut codes)?)?;
            step = step.checked_add(slope)?;
            // Up to 2^24 steps are exact in float32; a voice has less than 2^19.
            row[column] = step as f32 * STEP;
        }
    }
    if codes.next().is_some() { None } else { VoiceStyles::from_rows(rows).ok() }
}

/// The next difference: a variable-length integer (LEB128) in zigzag code.
fn next(codes: &mut impl Iterator<Item = u8>) -> Option<i32> {
    let mut code = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = codes.next()?;
        code |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((code >> 1) as i32 ^ -((code & 1) as i32));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn stream(codes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(codes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn second_differences_are_summed_twice() {
        // Of each column the first value is 3 steps and the slope −1 less: 3, 3 + 3 − 4 = 2, then straight on.
        let column: Vec<u8> = [6, 7].into_iter().chain(std::iter::repeat_n(0, MAX_PHONEMES - 2)).collect();
        let styles = unpack(&stream(&column.repeat(STYLE_LEN))).unwrap();
        for (phonemes, steps) in [(1, 3.0), (2, 2.0), (3, 1.0), (510, -506.0)] {
            assert_eq!(styles.style(phonemes).values(), &[steps * STEP; STYLE_LEN], "{phonemes}");
        }
    }

    #[test]
    fn what_is_no_voice_is_refused() {
        let zeros = vec![0; MAX_PHONEMES * STYLE_LEN];
        assert!(unpack(&stream(&zeros)).is_some());
        assert!(unpack(&stream(&zeros[1..])).is_none(), "too short");
        assert!(unpack(&stream(&[&zeros[..], &[0]].concat())).is_none(), "too long");
        assert!(unpack(&stream(&vec![0xff; MAX_PHONEMES * STYLE_LEN])).is_none(), "codes that never end");
        // 2^31 − 1 in zigzag code: the sums do not fit.
        assert!(unpack(&stream(&[0xfe, 0xff, 0xff, 0xff, 0x0f].repeat(MAX_PHONEMES * STYLE_LEN))).is_none());
        let mut damaged = stream(&zeros);
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        assert!(unpack(&damaged).is_none(), "a wrong checksum");
        assert!(unpack(&[]).is_none());
    }
}
