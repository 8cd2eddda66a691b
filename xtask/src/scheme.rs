//! The schemes by name, set as the recipe says.

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use quantizer::calibration::{Edges, Selection};
use quantizer::proto::ModelProto;
use quantizer::rewrite::PASSES;
use quantizer::schemes::{
    Bits, CoremlInt8, FusedFloat, FusedInt8, LinearInt8, Scheme, StaticInt8, WeightsInt8, pattern,
};
use regex::Regex;

use crate::failure::Failure;
use crate::host::Host;
use crate::plan::Plan;
use crate::recipe::{EdgesRecipe, FinerRecipe, Recipe, Thresholds};

/// A scheme of the quantizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum SchemeName {
    /// INT8 for constant MatMul and Gemm weights, activations quantized at run time, convolutions untouched
    LinearInt8,
    /// Every large weight stored as INT8 per channel, all computation in float
    WeightsInt8,
    /// Convolutions computed in INT8 with the plan's activation ranges, every other large weight stored as INT8
    StaticInt8,
    /// static-int8 with the operators of `kokoro-model` between its convolutions: for its engine alone, and the fastest
    FusedInt8,
    /// The float model with the operators of `kokoro-model` between its convolutions: for its engine alone, as exact as float
    FusedFloat,
    /// weights-int8 of a graph rewritten so that ONNX Runtime's CoreML provider takes it in few partitions
    CoremlInt8,
}

impl SchemeName {
    /// All of them, in the order in which they are made.
    pub const ALL: [Self; 6] = [
        Self::LinearInt8,
        Self::WeightsInt8,
        Self::StaticInt8,
        Self::FusedInt8,
        Self::FusedFloat,
        Self::CoremlInt8,
    ];

    /// The name in recipes, file names and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LinearInt8 => "linear-int8",
            Self::WeightsInt8 => "weights-int8",
            Self::StaticInt8 => "static-int8",
            Self::FusedInt8 => "fused-int8",
            Self::FusedFloat => "fused-float",
            Self::CoremlInt8 => "coreml-int8",
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
            Self::StaticInt8 => &recipe.scheme.static_int8.gates,
            Self::FusedInt8 => &recipe.scheme.fused_int8.gates,
            Self::FusedFloat => &recipe.scheme.fused_float.gates,
            Self::CoremlInt8 => &recipe.scheme.coreml_int8.gates,
        }
    }

    /// Whether the scheme follows a [`Plan`].
    pub fn takes_a_plan(self) -> bool {
        self == Self::StaticInt8
    }

    /// Whether the model quantizes activations of its matrices at run time, into u8, beside weights in s8.
    ///
    /// On a processor whose products of the two [saturate](crate::host::Host::saturates), what such a model predicts has
    /// nothing to do with what its base does: there it is made when it is asked for by name, and refused by its gates.
    pub fn quantizes_at_run_time(self) -> bool {
        self == Self::LinearInt8
    }

    /// Whether what the gates say of it on this machine is said of the model, and not of the processor.
    pub fn can_be_judged_here(self) -> bool {
        !self.quantizes_at_run_time() || !Host::here().saturates()
    }

    /// The patterns that the recipe sets for the scheme, each with the key that it stands under.
    fn patterns(self, recipe: &Recipe) -> Vec<(&'static str, &str)> {
        let set = &recipe.scheme;
        let (one, finer): (Vec<(&str, Option<&String>)>, &[FinerRecipe]) = match self {
            Self::LinearInt8 => (vec![("exclude", set.linear_int8.exclude.as_ref())], &[]),
            Self::WeightsInt8 => {
                (vec![("exclude", set.weights_int8.exclude.as_ref())], &set.weights_int8.finer)
            }
            Self::StaticInt8 => (vec![("exclude", set.static_int8.exclude.as_ref())], &set.static_int8.finer),
            Self::FusedInt8 => (
                vec![("int8", Some(&set.fused_int8.int8)), ("int16", set.fused_int8.int16.as_ref())],
                &set.fused_int8.finer,
            ),
            Self::FusedFloat => (Vec::new(), &[]),
            Self::CoremlInt8 => (vec![("exclude", set.coreml_int8.exclude.as_ref())], &set.coreml_int8.finer),
        };
        let one = one.into_iter().filter_map(|(key, pattern)| Some((key, pattern?.as_str())));
        one.chain(finer.iter().map(|finer| ("finer", finer.pattern.as_str()))).collect()
    }

    /// That every pattern that the recipe sets for the scheme matches a node of `model`: one that matches none is a slip of
    /// the pen, or was written for another model.
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the pattern.
    pub fn check_patterns(self, recipe: &Recipe, model: &ModelProto) -> Result<()> {
        let graph = quantizer::model::graph(model).context(Failure::Model)?;
        for (key, text) in self.patterns(recipe) {
            let regex = pattern(text)?;
            if !graph.node.iter().any(|node| regex.is_match(node.name())) {
                let message = anyhow!(
                    "`scheme.{}`, `{key}`: expected a pattern that matches a module, found that `{text}` matches none\nhint: \
                     `cargo xtask inspect MODEL` lists the modules",
                    self.as_str()
                );
                return Err(message.context(Failure::Usage));
            }
        }
        Ok(())
    }

    /// The scheme as the recipe sets it, and the `plan` if it [takes one](Self::takes_a_plan).
    ///
    /// # Errors
    /// [`Failure::Usage`] for a pattern that is no regular expression, for bits that there are not, and for a plan that
    /// is missing or asks for what the recipe excludes.
    pub fn build(self, recipe: &Recipe, plan: Option<&Plan>) -> Result<Box<dyn Scheme>> {
        let scheme: Result<Box<dyn Scheme>> = match self {
            Self::LinearInt8 => {
                let exclude = compile(recipe.scheme.linear_int8.exclude.as_deref());
                exclude.map(|exclude| Box::new(LinearInt8 { exclude }) as _)
            }
            Self::WeightsInt8 => {
                let set = &recipe.scheme.weights_int8;
                let scheme = weights(set.min_elements, set.exclude.as_deref(), &set.finer);
                scheme.map(|scheme| Box::new(scheme) as _)
            }
            Self::StaticInt8 => static_int8(recipe, plan).map(|scheme| Box::new(scheme) as _),
            Self::FusedInt8 => fused_int8(recipe).map(|scheme| Box::new(scheme) as _),
            Self::FusedFloat => Ok(Box::new(FusedFloat { rewrites: PASSES.iter().collect() })),
            Self::CoremlInt8 => {
                let set = &recipe.scheme.coreml_int8;
                let scheme = weights(set.min_elements, set.exclude.as_deref(), &set.finer);
                scheme.map(|scheme| Box::new(CoremlInt8(scheme)) as _)
            }
        };
        scheme.with_context(|| format!("`scheme.{}`", self.as_str())).context(Failure::Usage)
    }
}

/// The convolutions that `static-int8` may compute in INT8.
///
/// # Errors
/// [`Failure::Usage`] for a pattern that is no regular expression.
pub fn allowed(recipe: &Recipe) -> Result<Selection> {
    let exclude = compile(recipe.scheme.static_int8.exclude.as_deref());
    let exclude = exclude.context("`scheme.static-int8`").context(Failure::Usage)?;
    Ok(Selection { include: None, exclude })
}

/// The edges that a recipe or a plan names.
///
/// # Errors
/// [`Failure::Usage`] for a pattern that is no regular expression.
pub fn edges(named: &[EdgesRecipe]) -> Result<Vec<Edges>> {
    let compiled = named.iter().map(|EdgesRecipe { pattern: text, positions, times }| {
        Ok(Edges { pattern: pattern(text)?, positions: usize::from(*positions), times: *times })
    });
    let compiled: Result<_> = compiled.collect();
    compiled.context("`edges`").context("`scheme.static-int8`").context(Failure::Usage)
}

/// The scheme `static-int8` as the recipe and the plan set it.
///
/// # Errors
/// Those of [`SchemeName::build`].
pub(crate) fn static_int8(recipe: &Recipe, plan: Option<&Plan>) -> Result<StaticInt8> {
    let set = &recipe.scheme.static_int8;
    let plan = plan.context("expected a plan, found none")?;
    let Selection { exclude, .. } = allowed(recipe)?;
    let matches = |name: &&String| exclude.as_ref().is_some_and(|exclude| exclude.is_match(name));
    if let Some(name) = plan.convolutions.iter().find(matches) {
        bail!("`exclude` keeps `{name}` in float, which the plan has in its `static`");
    }
    Ok(StaticInt8 {
        rewrites: plan.passes()?,
        convolutions: plan.selection()?,
        ranges: plan.ranges.clone(),
        // Those that the ranges were measured without.
        edges: edges(&plan.calibration.edges)?,
        weight_levels: set.weight_levels,
        lookup_levels: set.lookup_levels,
        weights: weights(set.min_elements, None, &set.finer)?,
    })
}

fn fused_int8(recipe: &Recipe) -> Result<FusedInt8> {
    let set = &recipe.scheme.fused_int8;
    let include = Some(pattern(&set.int8).context("`int8`")?);
    Ok(FusedInt8 {
        rewrites: PASSES.iter().collect(),
        convolutions: Selection { include, exclude: None },
        finer_activations: set.int16.as_deref().map(pattern).transpose().context("`int16`")?,
        weights: weights(set.min_elements, None, &set.finer)?,
    })
}

fn weights(min_elements: usize, exclude: Option<&str>, finer: &[FinerRecipe]) -> Result<WeightsInt8> {
    let finer = finer.iter().map(|FinerRecipe { pattern: text, bits }| {
        let known =
            Bits::new(*bits).with_context(|| format!("expected 8, 9, 10 or 12 bits, found {bits}"))?;
        anyhow::Ok((pattern(text)?, known))
    });
    let finer = finer.collect::<Result<_>>().context("`finer`")?;
    Ok(WeightsInt8 { min_elements, exclude: compile(exclude)?, finer })
}

fn compile(exclude: Option<&str>) -> Result<Option<Regex>> {
    exclude.map(pattern).transpose().context("`exclude`")
}
