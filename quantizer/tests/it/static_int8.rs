//! `static-int8` and its calibration, held to integers by hand, to a reference of the operators, and to the float
//! convolution.

mod calibration;
mod edges;
mod fused;
mod integers;
mod lookup;
mod reference;
mod refusals;
mod support;
