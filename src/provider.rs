//! Execution providers other than the CPU's: which one computes a model, and whether there is one here.
//!
//! Nothing in here is touched by who asks for none: the default is the CPU provider, made as before.
//!
//! The CPU provider takes its buffers from an arena, which the `ort` crate leaves off. A process
//! that says a sentence of 7.7 s peaks at 0.65 GB with it, in place of 1.26 to 1.56 GB, and takes
//! 1.7 s the first time in place of 2.0. What a long sentence took, the arena keeps.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ort::AsPointer as _;
use ort::ep::{CPU, ExecutionProvider as _, ExecutionProviderDispatch};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use crate::error::{Error, ErrorKind};
use crate::runtime::{Runtime, RuntimeMessage};

/// A model that any provider takes, in protobuf: format 8; a graph `g` with the node `y = Mul(x, x)`, float `x` and `y` of
/// 4 elements; standard operators of version 17.
const SQUARE: &[u8] = b"\x08\x08\x3a\x35\
    \x0a\x0e\x0a\x01x\x0a\x01x\x12\x01y\x22\x03Mul\
    \x12\x01g\
    \x5a\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x04\
    \x62\x0f\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x04\
    \x42\x02\x10\x11";

/// What computes a model: it takes the nodes that it can, the CPU provider takes the rest.
///
/// A model that was gated on the CPU was not gated on another provider: what it says there may differ, and some devices are known
/// to corrupt speech. `cargo xtask quantize --provider` measures it.
///
/// ```no_run
/// use kokoro_model::{Provider, Runtime, Synthesizer, SynthesizerOptions};
///
/// let runtime = Runtime::load()?;
/// let webgpu = runtime.register_plugin("libonnxruntime_providers_webgpu.so")?;
/// let options = SynthesizerOptions::default().provider(Provider::Plugin(webgpu));
/// let mut synthesizer = Synthesizer::from_file(&runtime, "kokoro.onnx", &options)?;
/// # Ok::<(), kokoro_model::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// The processor. Every build of ONNX Runtime has it, and the models of this crate were made for it.
    #[default]
    Cpu,
    /// Apple's Core ML, in builds of ONNX Runtime for Apple systems. With `engine` alone, without the feature `ort`, there is
    /// none: asking for it would have the crate `ort` choose another library to link.
    CoreMl {
        /// In which format Core ML gets what it takes.
        format: CoreMlFormat,
        /// What it may compute on.
        units: CoreMlUnits,
    },
    /// Intel's OpenVINO, in builds of ONNX Runtime that have it built in, such as that in the Python package
    /// `onnxruntime-openvino`. It computes on the processor, not only on Intel's, in float32. With `engine` alone there is
    /// none, as of Core ML. The plugin `onnxruntime-ep-openvino` is a [`Self::Plugin`].
    OpenVino,
    /// That of a library, [registered](Runtime::register_plugin) with the runtime.
    Plugin(Plugin),
}

/// The formats in which Core ML takes a part of a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreMlFormat {
    /// The newer one, for macOS 12 and later, with more operators.
    #[default]
    MlProgram,
    /// The older one.
    NeuralNetwork,
}

/// What Core ML may compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreMlUnits {
    /// Whatever there is.
    #[default]
    All,
    /// Processor and neural engine.
    CpuAndNeuralEngine,
    /// Processor and GPU.
    CpuAndGpu,
    /// The processor alone.
    CpuOnly,
}

/// The provider of a plugin library, with a device on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    path: Arc<Path>,
    /// What the runtime calls the provider.
    name: Arc<str>,
    /// Its first device, as a person reads it.
    device: Arc<str>,
}

impl Plugin {
    /// The library.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What ONNX Runtime calls the provider, such as `WebGpuExecutionProvider`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device that it computes on, the first that the library offers: kind, maker and number, such as `GPU of 0x1af4 (1)`.
    pub fn device(&self) -> &str {
        &self.device
    }
}

impl Provider {
    /// What ONNX Runtime calls it.
    pub fn name(&self) -> &str {
        match self {
            Self::Cpu => CPU::NAME,
            Self::CoreMl { .. } => "CoreMLExecutionProvider",
            Self::OpenVino => "OpenVINOExecutionProvider",
            Self::Plugin(plugin) => plugin.name(),
        }
    }

    /// Whether it was compiled into the ONNX Runtime that is loaded, which does not say that it [computes](Self::check) here.
    ///
    /// ```no_run
    /// use kokoro_model::{Provider, Runtime};
    ///
    /// let runtime = Runtime::load()?;
    /// let provider = if Provider::OpenVino.is_built_in(&runtime) { Provider::OpenVino } else { Provider::Cpu };
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    pub fn is_built_in(&self, _: &Runtime) -> bool {
        match self {
            Self::Cpu => true,
            Self::CoreMl { format, units } => coreml(*format, *units).is_ok_and(|it| it.is_some()),
            Self::OpenVino => openvino(None).is_ok_and(|it| it.is_some()),
            Self::Plugin(_) => false,
        }
    }

    /// Makes a session of one node on it, so that what it lacks is found before a large model is loaded.
    ///
    /// ```no_run
    /// use kokoro_model::{CoreMlFormat, CoreMlUnits, Provider, Runtime};
    ///
    /// let provider = Provider::CoreMl { format: CoreMlFormat::MlProgram, units: CoreMlUnits::All };
    /// if let Err(error) = provider.check(&Runtime::load()?) {
    ///     eprintln!("{error}");
    /// }
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ProviderUnavailable`] with the reason and the way to get it.
    pub fn check(&self, runtime: &Runtime) -> Result<(), Error> {
        let session = || -> Result<Session, Error> {
            let builder = Session::builder(&runtime.environment).map_err(|source| self.refused(source))?;
            let mut builder = self.set(builder, runtime, None)?;
            builder.commit_from_memory(SQUARE).map_err(|source| self.refused(source))
        };
        session().map(drop)
    }

    /// Has `builder` make its session on this provider; `threads` are for one that has threads of its own on the processor.
    pub(crate) fn set(
        &self,
        builder: SessionBuilder,
        runtime: &Runtime,
        threads: Option<usize>,
    ) -> Result<SessionBuilder, Error> {
        // With an arena what one operator has freed serves the next. Without one, each buffer comes from the system's
        // allocator: the process then took about twice as much at its peak, and a sixth longer for its first run.
        let cpu = CPU::default().with_arena_allocator(true).build().error_on_failure();
        match self {
            // Without an explicit provider the runtime's automatic choice could take another device.
            Self::Cpu => with_providers(builder, &[cpu]).map_err(|message| self.unavailable(message)),
            Self::CoreMl { format, units } => {
                let Some(coreml) = coreml(*format, *units).map_err(|source| self.refused(source))? else {
                    return Err(self.unavailable("this build of ONNX Runtime has no such provider"));
                };
                with_providers(builder, &[coreml, cpu]).map_err(|message| self.unavailable(message))
            }
            Self::OpenVino => {
                let builder = self.quiet(builder)?;
                let Some(openvino) = openvino(threads).map_err(|source| self.refused(source))? else {
                    return Err(self.unavailable("this build of ONNX Runtime has no such provider"));
                };
                with_providers(builder, &[openvino, cpu]).map_err(|message| self.unavailable(message))
            }
            Self::Plugin(plugin) => {
                let builder = self.quiet(builder)?;
                let mut devices = runtime
                    .environment
                    .devices()
                    .filter(|it| it.ep().is_ok_and(|name| name == plugin.name()));
                let Some(device) = devices.next() else {
                    return Err(self.unavailable("its library is not registered with this runtime"));
                };
                builder.with_devices([device], None).map_err(|source| self.refused(source))
            }
        }
    }

    /// Other providers warn of every node that they leave.
    fn quiet(&self, builder: SessionBuilder) -> Result<SessionBuilder, Error> {
        builder.with_log_level(LogLevel::Error).map_err(|source| self.refused(source))
    }

    fn refused<R>(&self, source: ort::Error<R>) -> Error {
        self.unavailable(RuntimeMessage::from(source))
    }

    fn unavailable(&self, reason: impl fmt::Display) -> Error {
        let hint = match self {
            Self::Cpu => "take another ONNX Runtime",
            Self::CoreMl { .. } => "take ONNX Runtime for macOS from its package for Python, on a Mac",
            Self::OpenVino => {
                "take ONNX Runtime from the Python package `onnxruntime-openvino`, whose libraries must stay in one folder"
            }
            Self::Plugin(_) => {
                "take a version of the plugin that was built for this version of ONNX Runtime, and see that the driver of its \
                 device is installed"
            }
        };
        unavailable(self.name(), reason, hint)
    }
}

impl Runtime {
    /// Loads the library of a plugin provider, such as those in the Python packages `onnxruntime-ep-openvino` and
    /// `onnxruntime-ep-webgpu`. It stays loaded as long as the process.
    ///
    /// Loading a library runs its code: take only a file whose digest you have checked.
    ///
    /// # Errors
    /// [`ErrorKind::NotAPlugin`] with what the runtime said, and [`ErrorKind::ProviderUnavailable`] for a plugin that offers no
    /// device on this machine.
    pub fn register_plugin(&self, path: impl AsRef<Path>) -> Result<Plugin, Error> {
        let not_a_plugin = |path: PathBuf| ErrorKind::NotAPlugin { path };
        let given = path.as_ref();
        let path = fs_err::canonicalize(given)
            .map_err(|source| Error::with_source(not_a_plugin(given.into()), source))?;
        let mut plugins = self.plugins();
        if let Some((_, known)) = plugins.iter().find(|(known, _)| *known == path) {
            return known.clone().ok_or_else(|| no_device(self, &path));
        }
        let before: Vec<_> = self.environment.devices().map(|device| device.ptr()).collect();
        self.environment
            .register_ep_library(path.display().to_string(), &path)
            .map_err(|source| Error::with_source(not_a_plugin(path.clone()), RuntimeMessage::from(source)))?;
        let device = self.environment.devices().find(|device| !before.contains(&device.ptr()));
        let plugin = device.and_then(|device| {
            let hardware = device.hardware_device();
            let vendor = hardware.vendor().unwrap_or_default();
            let vendor = if vendor.is_empty() { "an unnamed maker" } else { vendor };
            let described = format!("{:?} of {vendor} ({:#x})", hardware.ty(), hardware.id());
            Some(Plugin {
                path: path.as_path().into(),
                name: device.ep().ok()?.into(),
                device: described.into(),
            })
        });
        plugins.push((path.clone(), plugin.clone()));
        plugin.ok_or_else(|| no_device(self, &path))
    }
}

/// That the plugin at `path` offers no device, with those that there are.
fn no_device(runtime: &Runtime, path: &Path) -> Error {
    let devices = runtime.environment.devices().map(|device| {
        let hardware = device.hardware_device();
        format!(
            "{:?} of {} for {}",
            hardware.ty(),
            hardware.vendor().unwrap_or("?"),
            device.ep().unwrap_or("?")
        )
    });
    let devices: Vec<_> = devices.collect();
    let reason = format!(
        "its plugin offers no device on this machine, where ONNX Runtime lists {}",
        devices.join(", ")
    );
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    unavailable(
        &name,
        reason,
        "see on the page of the plugin which devices it serves, and install their driver",
    )
}

fn unavailable(provider: &str, reason: impl fmt::Display, hint: &'static str) -> Error {
    ErrorKind::ProviderUnavailable { provider: provider.to_owned(), reason: reason.to_string(), hint }.into()
}

fn with_providers(
    builder: SessionBuilder,
    providers: &[ExecutionProviderDispatch],
) -> Result<SessionBuilder, RuntimeMessage> {
    builder.with_execution_providers(providers).map_err(RuntimeMessage::from)
}

/// The provider, in a build of ONNX Runtime that has it.
#[cfg(feature = "ort")]
fn coreml(format: CoreMlFormat, units: CoreMlUnits) -> ort::Result<Option<ExecutionProviderDispatch>> {
    use ort::ep::CoreML;
    use ort::ep::coreml::{ComputeUnits, ModelFormat};
    if !CoreML::is_available()? {
        return Ok(None);
    }
    let format = match format {
        CoreMlFormat::MlProgram => ModelFormat::MLProgram,
        CoreMlFormat::NeuralNetwork => ModelFormat::NeuralNetwork,
    };
    let units = match units {
        CoreMlUnits::All => ComputeUnits::All,
        CoreMlUnits::CpuAndNeuralEngine => ComputeUnits::CPUAndNeuralEngine,
        CoreMlUnits::CpuAndGpu => ComputeUnits::CPUAndGPU,
        CoreMlUnits::CpuOnly => ComputeUnits::CPUOnly,
    };
    let coreml = CoreML::default().with_model_format(format).with_compute_units(units);
    Ok(Some(coreml.build().error_on_failure()))
}

#[cfg(not(feature = "ort"))]
#[allow(clippy::unnecessary_wraps, reason = "as with the feature")]
fn coreml(_: CoreMlFormat, _: CoreMlUnits) -> ort::Result<Option<ExecutionProviderDispatch>> {
    Ok(None)
}

/// The provider on the processor, in a build of ONNX Runtime that has it.
#[cfg(feature = "ort")]
fn openvino(threads: Option<usize>) -> ort::Result<Option<ExecutionProviderDispatch>> {
    use ort::ep::OpenVINO;
    if !OpenVINO::is_available()? {
        return Ok(None);
    }
    // Where the processor has bfloat16, it would be taken.
    let mut openvino = OpenVINO::default().with_device_type("CPU").with_precision("FP32");
    if let Some(threads) = threads {
        openvino = openvino.with_num_threads(threads);
    }
    Ok(Some(openvino.build().error_on_failure()))
}

#[cfg(not(feature = "ort"))]
#[allow(clippy::unnecessary_wraps, reason = "as with the feature")]
fn openvino(_: Option<usize>) -> ort::Result<Option<ExecutionProviderDispatch>> {
    Ok(None)
}
