//! `cargo xtask`: from nothing to a gated, embedded INT8 speech model.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::commands::{
    bench, ci, clean, fetch, fidelity, inspect, onnx_quantize, package, prove, publish, quantize, report,
    smoke, test, tune, verify,
};
use xtask::environment::Environment;
use xtask::failure::exit_code;
use xtask::workspace::Workspace;

/// Makes, gates and tests the speech model that `kokoro-model` embeds
///
/// `quantize` is the main job, from nothing to a gated artifact; `test` is everything the project tests. Both
/// fetch what they need and work on a fresh clone.
///
/// Exit codes: 0 done, 1 a gate said no, 2 usage, 3 could not fetch or verify, 4 bad model, 5 anything else.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Fetch(fetch::FetchArgs),
    Inspect(inspect::InspectArgs),
    Quantize(quantize::QuantizeArgs),
    Tune(tune::TuneArgs),
    Smoke(smoke::SmokeArgs),
    Fidelity(fidelity::FidelityArgs),
    Bench(bench::BenchArgs),
    Report(report::ReportArgs),
    Verify(verify::VerifyArgs),
    Package(package::PackageArgs),
    Prove(prove::ProveArgs),
    Publish(publish::PublishArgs),
    Test(test::TestArgs),
    OnnxQuantize(onnx_quantize::OnnxQuantizeArgs),
    Ci(ci::CiArgs),
    Clean(clean::CleanArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let workspace = Workspace::of_this_build(Environment::read());
    let outcome = match &cli.command {
        Command::Fetch(args) => fetch::run(args, &workspace.models(), workspace.environment()),
        Command::Inspect(args) => inspect::run(args, &workspace),
        Command::Quantize(args) => quantize::run(args, &workspace),
        Command::Tune(args) => tune::run(args, &workspace),
        Command::Smoke(args) => smoke::run(args, &workspace),
        Command::Fidelity(args) => fidelity::run(args, &workspace),
        Command::Bench(args) => bench::run(args, &workspace),
        Command::Report(args) => report::run(args, &workspace),
        Command::Verify(args) => verify::run(args, &workspace),
        Command::Package(args) => package::run(args, &workspace),
        Command::Prove(args) => prove::run(args, &workspace),
        Command::Publish(args) => publish::run(args, &workspace),
        Command::Test(args) => test::run(args, &workspace),
        Command::OnnxQuantize(args) => onnx_quantize::run(args, &workspace),
        Command::Ci(args) => ci::run(args, &workspace),
        Command::Clean(args) => clean::run(args, &workspace),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}
