//! The schemes by name, set as the recipe says.

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use quantizer::schemes::{Bits, LinearInt8, Scheme, WeightsInt8, pattern};

use crate::failure::Failure;
use crate::recipe::{FinerRecipe, Recipe, Thresholds};

/// A scheme of the quantizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum SchemeName {
    /// INT8 for constant MatMul and Gemm weights, activations quantized at run time, convolutions untouched
    LinearInt8,
    /// Every large weight stored as INT8 per channel, all computation in float
    WeightsInt8,
}

impl SchemeName {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 2] = [Self::LinearInt8, Self::WeightsInt8];

    /// The name in recipes, file names and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LinearInt8 => "linear-int8",
            Self::WeightsInt8 => "weights-int8",
        }
    }

    /// The scheme of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == name)
    }

    /// What a candidate of this scheme must keep to.
    pub fn thresholds(self, recipe: &Recipe) -> &Thresholds {
        match self {
            Self::LinearInt8 => &recipe.scheme.linear_int8.gates,
            Self::WeightsInt8 => &recipe.scheme.weights_int8.gates,
        }
    }

    /// The scheme as the recipe sets it.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a pattern that is no regular expression.
    pub fn build(self, recipe: &Recipe) -> Result<Box<dyn Scheme>> {
        let compile = |text: &Option<String>| {
            let compiled = text.as_deref().map(pattern).transpose();
            compiled.with_context(|| format!("`scheme.{}.exclude`", self.as_str())).context(Failure::Usage)
        };
        let finer = |FinerRecipe { pattern: text, bits }: &FinerRecipe| {
            let known =
                Bits::new(*bits).with_context(|| format!("expected 8, 9, 10 or 12 bits, found {bits}"))?;
            anyhow::Ok((pattern(text)?, known))
        };
        Ok(match self {
            Self::LinearInt8 => {
                Box::new(LinearInt8 { exclude: compile(&recipe.scheme.linear_int8.exclude)? })
            }
            Self::WeightsInt8 => Box::new(WeightsInt8 {
                min_elements: recipe.scheme.weights_int8.min_elements,
                exclude: compile(&recipe.scheme.weights_int8.exclude)?,
                finer: (recipe.scheme.weights_int8.finer.iter().map(finer).collect::<Result<_>>())
                    .context("`scheme.weights-int8.finer`")
                    .context(Failure::Usage)?,
            }),
        })
    }
}
