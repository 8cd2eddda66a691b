//! Bad input, which the engine must refuse with its own error: the runtime would read past a table, fail
//! deep inside a node, or take all memory.

use kokoro_model::{Error, ErrorKind, MAX_PHONEMES, Synthesizer};

use crate::gates::{Subject, Utterance};

/// One bad input and the error that it must meet.
struct BadInput {
    what: String,
    ids: Vec<i64>,
    speed: f32,
    expected: fn(&ErrorKind) -> bool,
}

/// Gives every bad input; one line for each that was not refused, or refused as something else.
pub(super) fn accepted(
    synthesizer: &mut Synthesizer,
    subject: &Subject,
    utterance: &Utterance,
) -> Vec<String> {
    let speak = |input: &BadInput| {
        synthesizer.speak_tokens(&input.ids, utterance.styles.style(input.ids.len()), input.speed).map(drop)
    };
    bad_inputs(&utterance.ids, subject.vocabulary_size).iter().filter_map(wrongly_met(speak)).collect()
}

/// What is wrong with how an input was met, if anything.
fn wrongly_met(
    mut speak: impl FnMut(&BadInput) -> Result<(), Error>,
) -> impl FnMut(&BadInput) -> Option<String> {
    move |input| match speak(input) {
        Ok(()) => Some(format!("{} was spoken", input.what)),
        Err(error) if (input.expected)(error.kind()) => None,
        Err(error) => {
            let error = anyhow::Error::from(error);
            Some(format!("{} met another error: {error:#}", input.what))
        }
    }
}

fn bad_inputs(good: &[i64], vocabulary_size: u32) -> Vec<BadInput> {
    let of_ids = |what: String, ids, expected| BadInput { what, ids, speed: 1.0, expected };
    let first_beyond = i64::from(vocabulary_size);
    let mut inputs = vec![
        of_ids("no phoneme".to_owned(), Vec::new(), |kind| matches!(kind, ErrorKind::NoTokens)),
        of_ids(format!("{} phonemes", MAX_PHONEMES + 1), vec![good[0]; MAX_PHONEMES + 1], |kind| {
            matches!(kind, ErrorKind::TooManyTokens { .. })
        }),
    ];
    for id in [first_beyond, -1, i64::MAX, i64::MIN] {
        let ids = vec![good[0], id];
        inputs.push(of_ids(format!("token id {id}"), ids, |kind| {
            matches!(kind, ErrorKind::TokenOutOfVocabulary { position: 1, .. })
        }));
    }
    for speed in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
        let expected = |kind: &ErrorKind| matches!(kind, ErrorKind::Speed { .. });
        inputs.push(BadInput { what: format!("speed {speed}"), ids: good.to_vec(), speed, expected });
    }
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spoken_or_fails_in_the_runtime_is_told() {
        let inputs = bad_inputs(&[43], 178);
        let told = |met: fn(&BadInput) -> Result<(), Error>| -> Vec<_> {
            inputs.iter().filter_map(wrongly_met(met)).collect()
        };
        let spoken = told(|_| Ok(()));
        assert_eq!(spoken.len(), inputs.len());
        assert!(spoken.contains(&"token id 178 was spoken".to_owned()), "{spoken:?}");
        assert!(spoken.contains(&"speed NaN was spoken".to_owned()), "{spoken:?}");

        let in_the_runtime = told(|it| Err(ErrorKind::Inference { tokens: it.ids.len() }.into()));
        assert_eq!(in_the_runtime.len(), inputs.len());
        assert!(in_the_runtime[0].starts_with("no phoneme met another error: ONNX Runtime failed"));

        // Every input has an error of its own kind, so one kind for all is right for one of them only.
        assert_eq!(told(|_| Err(ErrorKind::NoTokens.into())).len(), inputs.len() - 1);
    }
}
