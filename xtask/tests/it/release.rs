//! `package` and `verify`: equal archives, refusals, and what becomes of a release that somebody changed.

mod fixture;
mod forgery;
mod packing;
mod refusing;
mod schemas;
mod signing;
mod tampering;
