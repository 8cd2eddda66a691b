//! Channels in eight bits, whose ends may be stored apart.

use std::ops::Range;

use super::Quantization;

/// A channel in levels.
///
/// What stands at the ends of time may be larger by far than all between. So the first and the last values can have
/// levels of their own, further apart, and the others are the *body*.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    pub(super) first: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) last: &'a [u8],
    /// What the levels of the body stand for.
    pub(super) from: Quantization,
    /// What the levels of the ends stand for.
    pub(super) ends_from: Quantization,
}

impl<'a> Levels<'a> {
    /// A channel that is all body.
    #[cfg(any(test, feature = "probe"))]
    pub fn new(levels: &'a [u8], from: Quantization) -> Self {
        Self { first: &[], body: levels, last: &[], from, ends_from: from }
    }

    /// `levels`, but for what stands at the beginning and at the end: that is `first` and `last`, in levels `times` as far
    /// apart. A position that both have is that of `first`.
    ///
    /// # Panics
    /// If one of them is longer than `levels`.
    pub fn with_ends(levels: &'a [u8], from: Quantization, [first, last]: [&'a [u8]; 2], times: f32) -> Self {
        assert!(first.len().max(last.len()) <= levels.len(), "an end and the channel that it is of");
        let others = &levels[first.len()..];
        let last = &last[last.len().saturating_sub(others.len())..];
        let body = &others[..others.len() - last.len()];
        Self { first, body, last, from, ends_from: from.coarser(times) }
    }

    /// How many values the channel has.
    pub(super) fn count(&self) -> usize {
        self.first.len() + self.body.len() + self.last.len()
    }

    /// The channel from and to a position.
    pub(super) fn part(&self, of: Range<usize>) -> Self {
        let cut = |levels: &'a [u8], start: usize| {
            let at = |position: usize| position.saturating_sub(start).min(levels.len());
            &levels[at(of.start)..at(of.end)]
        };
        let (body, last) = (self.first.len(), self.first.len() + self.body.len());
        Self { first: cut(self.first, 0), body: cut(self.body, body), last: cut(self.last, last), ..*self }
    }

    /// The places in `y`, as long as the channel, for what becomes of `first`, `body` and `last`.
    ///
    /// # Panics
    /// If it is not as long.
    pub(super) fn places<'y, Y>(&self, y: &'y mut [Y]) -> [&'y mut [Y]; 3] {
        assert_eq!(self.count(), y.len(), "a channel and what becomes of it");
        let (first, others) = y.split_at_mut(self.first.len());
        let (body, last) = others.split_at_mut(self.body.len());
        [first, body, last]
    }
}

/// Where a channel goes in levels: all of it, and its first and last values once more, in levels further apart.
#[derive(Debug)]
pub struct LevelsMut<'a> {
    /// All of the channel.
    pub all: &'a mut [u8],
    /// What the levels of `all` stand for.
    pub to: Quantization,
    /// The first values and the last ones, as many as each has place for; they may overlap.
    pub ends: [&'a mut [u8]; 2],
    /// What the levels of `ends` stand for.
    pub ends_to: Quantization,
}

impl<'a> LevelsMut<'a> {
    /// Nothing but all of it.
    pub fn new(all: &'a mut [u8], to: Quantization) -> Self {
        Self { all, to, ends: [&mut [], &mut []], ends_to: to }
    }

    /// All of it, and the ends in levels `times` as far apart.
    pub fn with_ends(all: &'a mut [u8], to: Quantization, ends: [&'a mut [u8]; 2], times: f32) -> Self {
        Self { all, to, ends, ends_to: to.coarser(times) }
    }
}
