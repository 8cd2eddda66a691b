//! What the provider asks of a Resize: which of the many ways to interpolate CoreML computes as ONNX does.

use super::check::{ensure, wrong_attribute};
use super::subject::{Dimension, Subject};
use super::{Left, Reason};

/// How large the last two dimensions become.
enum Target {
    /// By factors.
    Scales([f32; 2]),
    /// To lengths.
    Sizes([i64; 2]),
}

/// By constants, in the last two dimensions only, by whole factors or to whole parts, and with coordinates that CoreML has.
pub fn resize(subject: &Subject<'_>) -> Result<(), Left> {
    let shape = subject.shape(0)?;
    ensure(!shape.contains(&Some(0)), || Left::because(Reason::Shape, "input 0 has a dimension of 0"))?;
    let mode = subject.text("mode", "nearest");
    let rounding = subject.text("nearest_mode", "round_prefer_floor");
    ensure(mode != "nearest" || rounding == "floor", || {
        wrong_attribute("nearest_mode", &format_args!("`{rounding}`"), &"`floor`")
    })?;
    // The constants come first: without them nothing else of it can be known.
    let target = target(subject, shape)?;
    let [height, width] = [shape[shape.len() - 2], shape[shape.len() - 1]];
    match &target {
        Target::Scales(scales) => by_scales(subject, *scales, [height, width])?,
        Target::Sizes(sizes) if !subject.is_ml_program() => {
            let lengths = subject.static_shape(0)?;
            let lengths = &lengths[lengths.len() - 2..];
            let whole = sizes.iter().zip(lengths).all(|(size, length)| size % length == 0);
            ensure(whole, || Left::because(Reason::Parameter, "`sizes` are no multiples of the input's"))?;
        }
        Target::Sizes(_) => {}
    }
    coordinates(subject, mode, &target, [height, width])
}

fn target(subject: &Subject<'_>, shape: &[Dimension]) -> Result<Target, Left> {
    let rank = shape.len();
    let axes: Vec<usize> = match subject.list("axes").unwrap_or_default() {
        [] => (0..rank).collect(),
        axes => {
            axes.iter().map(|&axis| (if axis < 0 { axis + rank as i64 } else { axis }) as usize).collect()
        }
    };
    let elsewhere = || Left::because(Reason::Parameter, "resizes other dimensions than the last two");
    let last_two = || Left::because(Reason::Parameter, "names fewer than two dimensions");
    if subject.input(3).is_some() {
        let sizes = subject.integers(3, "sizes")?;
        let mut both = axes.iter().zip(&sizes);
        ensure(both.all(|(&axis, &size)| axis + 2 >= rank || shape[axis] == Some(size)), elsewhere)?;
        sizes.last_chunk().copied().map(Target::Sizes).ok_or_else(last_two)
    } else if subject.input(2).is_some() {
        ensure(shape[rank - 2..].iter().all(Option::is_some), || {
            Left::because(Reason::DynamicDimension, "of input 0, the last two of which have to be static")
        })?;
        let scales = subject.floats(2, "scales")?;
        let mut both = axes.iter().zip(&scales);
        ensure(both.all(|(&axis, &scale)| axis + 2 >= rank || scale == 1.0), elsewhere)?;
        scales.last_chunk().copied().map(Target::Scales).ok_or_else(last_two)
    } else {
        Err(Left::because(Reason::Parameter, "neither `scales` nor `sizes` is given"))
    }
}

fn by_scales(subject: &Subject<'_>, scales: [f32; 2], lengths: [Dimension; 2]) -> Result<(), Left> {
    let wrong = |detail: &str| Err(Left::because(Reason::Parameter, detail));
    if scales.iter().all(|&scale| scale >= 1.0) {
        let whole = scales.iter().all(|scale| scale.fract() == 0.0);
        return if whole { Ok(()) } else { wrong("`scales` are no whole numbers") };
    }
    if scales.iter().any(|&scale| scale > 1.0) {
        return wrong("`scales` enlarge one dimension and shrink the other");
    }
    if !subject.is_ml_program() {
        return wrong("`scales` shrink, which a NeuralNetwork cannot");
    }
    let divides = |(&scale, &length): (&f32, &Dimension)| {
        let parts = 1.0 / f64::from(scale);
        let is_whole = (parts - parts.round()).abs() < 1e-6;
        is_whole && length.is_some_and(|length| length % parts.round() as i64 == 0)
    };
    let whole = scales.iter().zip(&lengths).all(divides);
    if whole { Ok(()) } else { wrong("`scales` shrink by no divisor of the length") }
}

fn coordinates(
    subject: &Subject<'_>,
    mode: &str,
    target: &Target,
    lengths: [Dimension; 2],
) -> Result<(), Left> {
    let found = subject.text("coordinate_transformation_mode", "half_pixel");
    let expected: &[&str] = match (subject.is_ml_program(), mode, target) {
        (false, ..) | (true, "nearest", _) => &["asymmetric"],
        (true, _, Target::Scales(_)) => &["half_pixel", "align_corners"],
        (true, _, Target::Sizes(_)) => &["half_pixel", "align_corners", "asymmetric"],
    };
    let becomes = match target {
        Target::Sizes(sizes) => *sizes,
        Target::Scales(scales) => {
            [0, 1].map(|at| (lengths[at].unwrap_or(0) as f64 * f64::from(scales[at])).round() as i64)
        }
    };
    // Both are the same but for a length of 1.
    let as_half_pixel = found == "pytorch_half_pixel" && becomes.iter().all(|&length| length > 1);
    let known = if as_half_pixel { "half_pixel" } else { found };
    ensure(expected.contains(&known), || {
        let expected = super::check::any_of(expected.iter().map(|it| format!("`{it}`")));
        wrong_attribute("coordinate_transformation_mode", &format_args!("`{found}`"), &expected)
    })
}
