//! The workflows and the action, held to rules that a linter does not know, or that must hold where there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::program::{Program, recipe};
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

/// What a workflow may have here; anything else, such as a container, is to be thought about first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Workflow {
    #[serde(rename = "name")]
    _name: String,
    on: BTreeMap<String, Value>,
    permissions: BTreeMap<String, String>,
    concurrency: Concurrency,
    defaults: Value,
    #[serde(default)]
    env: BTreeMap<String, String>,
    jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Concurrency {
    group: String,
    #[serde(rename = "cancel-in-progress")]
    _cancel_in_progress: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Job {
    #[serde(rename = "name")]
    _name: String,
    #[serde(default, rename = "if")]
    _condition: Option<String>,
    #[serde(default)]
    needs: Option<String>,
    #[serde(rename = "runs-on")]
    _runs_on: String,
    timeout_minutes: u64,
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default, rename = "outputs")]
    _outputs: BTreeMap<String, String>,
    #[serde(default)]
    strategy: Value,
    #[serde(default)]
    env: BTreeMap<String, String>,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    #[serde(default, rename = "id")]
    _id: Option<String>,
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default)]
    uses: Option<String>,
    #[serde(default)]
    with: BTreeMap<String, Value>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    run: Option<String>,
    #[serde(default, rename = "shell")]
    _shell: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "description")]
    _description: String,
    inputs: BTreeMap<String, Value>,
    #[serde(rename = "outputs")]
    _outputs: BTreeMap<String, Value>,
    runs: Runs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Runs {
    using: String,
    steps: Vec<Step>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github")
}

/// Each workflow with its file name and its text.
fn workflows() -> Vec<(String, String, Workflow)> {
    let mut workflows = Vec::new();
    for entry in fs_err::read_dir(folder().join("workflows")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs_err::read_to_string(&path).unwrap();
        let workflow = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("`{name}`: {error}"));
        workflows.push((name, text, workflow));
    }
    workflows.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        workflows.iter().map(|it| &*it.0).collect::<Vec<_>>(),
        ["ci.yml", "rebuild.yml", "release.yml"]
    );
    workflows
}

fn action() -> Action {
    let text = fs_err::read_to_string(folder().join("actions/model/action.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Every step with the place that it stands at.
fn steps() -> Vec<(String, Step)> {
    let of_jobs = workflows().into_iter().flat_map(|(file, _, workflow)| {
        workflow.jobs.into_iter().flat_map(move |(job, Job { steps, .. })| {
            let place = format!("{file}, {job}");
            steps.into_iter().enumerate().map(move |(at, step)| (format!("{place}, step {}", at + 1), step))
        })
    });
    of_jobs.chain(action().runs.steps.into_iter().map(|step| ("action.yml".to_owned(), step))).collect()
}

#[test]
fn nothing_is_permitted_but_what_a_job_says() {
    // What each job may do beyond reading the checkout. A further right is a decision, made here.
    let expected = BTreeMap::from([
        ("release.yml attest", vec!["attestations: write", "id-token: write"]),
        ("release.yml publish", vec!["attestations: read", "contents: write"]),
        ("rebuild.yml rebuild", vec!["attestations: read", "contents: read"]),
    ]);
    for (file, _, workflow) in workflows() {
        assert!(workflow.permissions.is_empty(), "{file}: {:?}", workflow.permissions);
        for (name, job) in &workflow.jobs {
            let found: Vec<_> =
                job.permissions.iter().map(|(scope, right)| format!("{scope}: {right}")).collect();
            let expected =
                expected.get(&*format!("{file} {name}")).cloned().unwrap_or(vec!["contents: read"]);
            assert_eq!(found, expected, "{file}, {name}");
        }
    }
}

#[test]
fn only_trusted_events_start_a_workflow() {
    let allowed = BTreeSet::from(["pull_request", "push", "schedule", "workflow_dispatch"]);
    for (file, _, workflow) in workflows() {
        for event in workflow.on.keys() {
            // `pull_request_target` and `workflow_run` would give the rights of the repository to what a stranger sent.
            assert!(allowed.contains(&**event), "{file}: `{event}`");
            // A pull request runs with a token that reads, and with no secret.
            assert!(event != "pull_request" || file == "ci.yml", "{file}: `{event}`");
        }
        assert!(workflow.concurrency.group.contains("${{ github.ref }}"), "{file}");
        assert_eq!(workflow.defaults, serde_json::json!({ "run": { "shell": "bash" } }), "{file}");
        for (name, job) in &workflow.jobs {
            assert!(
                (1..=360).contains(&job.timeout_minutes),
                "{file}, {name}: {} minutes",
                job.timeout_minutes
            );
        }
    }
}

#[test]
fn every_action_is_pinned_to_one_commit_that_says_its_version() {
    let pinned = Regex::new(r"^actions/[a-z-]+@[0-9a-f]{40}$").unwrap();
    for (place, step) in steps() {
        assert!(step.uses.is_some() != step.run.is_some(), "{place}: neither or both of `uses` and `run`");
        let Some(uses) = &step.uses else { continue };
        assert!(pinned.is_match(uses), "{place}: `{uses}` is not of GitHub's own, pinned to 40 hex digits");
        if uses.starts_with("actions/checkout@") {
            assert_eq!(step.with.get("persist-credentials"), Some(&Value::Bool(false)), "{place}");
        }
    }
    // A version that is not beside the commit is one that nobody looks after; and one action has one version.
    let line = Regex::new(r"uses: (actions/[a-z-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)\n").unwrap();
    let mut versions = BTreeMap::new();
    for (file, text, _) in workflows() {
        let found: Vec<_> = line.captures_iter(&text).map(|it| it.extract::<3>().1).collect();
        assert_eq!(found.len(), text.matches("uses: ").count(), "{file}: a `uses` without its version");
        for [action, commit, version] in found {
            let first = versions.entry(action.to_owned()).or_insert((commit.to_owned(), version.to_owned()));
            assert_eq!((&*first.0, &*first.1), (commit, version), "{file}: `{action}`");
        }
    }
}

#[test]
fn no_expression_is_put_into_a_script() {
    for (place, step) in steps() {
        // Put in by GitHub before the shell sees it, a value could be a command. Through the environment it stays a value.
        let run = step.run.unwrap_or_default();
        assert!(!run.contains("${{"), "{place}: an expression in `run`");
        for (name, value) in &step.env {
            assert!(!value.contains("github.event"), "{place}: `{name}` is of the event");
        }
    }
}

#[test]
fn secrets_are_in_protected_environments_and_in_single_steps() {
    for (file, text, workflow) in workflows() {
        let of_jobs = workflow.jobs.values().flat_map(|job| job.env.values());
        let wide: Vec<_> = workflow.env.values().chain(of_jobs).collect();
        assert!(
            wide.iter().all(|value| !value.contains("${{")),
            "{file}: an expression for more than one step"
        );
        let mut secrets = 0;
        for (name, job) in &workflow.jobs {
            for step in &job.steps {
                let found = step.env.values().filter(|value| value.contains("secrets.")).count();
                assert!(found == 0 || job.environment.as_deref() == Some("release"), "{file}, {name}");
                secrets += found;
            }
        }
        assert_eq!(
            secrets,
            text.matches("secrets.").count(),
            "{file}: a secret outside of the environment of a step"
        );
    }
}

#[test]
fn a_release_is_proved_made_verified_packaged_attested_and_published_in_this_order() {
    let (_, _, release) = workflows().pop().unwrap();
    let needs = |job: &str| release.jobs[job].needs.clone();
    assert_eq!(needs("prove"), None);
    for (job, before) in
        [("make", "prove"), ("package", "make"), ("attest", "package"), ("publish", "attest")]
    {
        assert_eq!(needs(job).as_deref(), Some(before));
    }
    let scripts = |job: &str| {
        let runs = release.jobs[job].steps.iter().filter_map(|step| step.run.clone());
        runs.collect::<Vec<_>>().join("\n")
    };
    let in_order = |job: &str, commands: &[&str]| {
        let script = scripts(job);
        let places: Vec<_> =
            commands.iter().map(|it| script.find(it).unwrap_or_else(|| panic!("{job}: no `{it}`"))).collect();
        assert!(places.is_sorted(), "{job}: {commands:?} at {places:?}");
    };
    in_order("prove", &["cargo xtask quantize --locked --full"]);
    let proves = ["cargo xtask prove --join", "cargo xtask quantize --locked", "cargo xtask verify"];
    in_order("make", &proves);
    // One job for each scheme that the lock has.
    let recipe = recipe();
    let locked: BTreeSet<&str> = recipe.locked_schemes().collect();
    let matrix = release.jobs["prove"].strategy["matrix"]["scheme"].as_array().unwrap();
    assert_eq!(matrix.iter().filter_map(Value::as_str).collect::<BTreeSet<_>>(), locked);
    in_order(
        "package",
        &[
            "cargo build",
            "SOURCE_DATE_EPOCH=\"$(git log -1 --format=%ct)\"",
            "cargo xtask package",
            "cargo xtask verify",
        ],
    );
    in_order("publish", &["cargo build", "gh attestation verify", "cargo xtask publish"]);
    let attest = release.jobs["attest"].steps.iter().find(|step| step.with.contains_key("subject-checksums"));
    assert!(
        attest.is_some_and(|step| step.uses.as_deref().is_some_and(|it| it.starts_with("actions/attest@")))
    );
    // Made from its sources: a cache could hold what they no longer are.
    let caches =
        |job: &Job| job.steps.iter().any(|step| step.uses.as_deref().is_some_and(|it| it.contains("cache@")));
    assert!(!release.jobs.values().any(caches));
}

#[test]
fn the_cache_of_ci_is_keyed_by_lock_and_recipes() {
    let (_, _, ci) = workflows().swap_remove(0);
    let caches: Vec<_> = ci.jobs["ci"].steps.iter().filter(|step| step.with.contains_key("key")).collect();
    let [cache] = caches[..] else { panic!("{} caches", caches.len()) };
    let key = cache.with["key"].as_str().unwrap();
    for file in ["models/*.lock.toml", "models/kokoro-v1.0.toml", "models/onnxruntime.toml"] {
        assert!(key.contains(&format!("'{file}'")), "`{file}` is not in the key `{key}`");
    }
    assert!(!cache.with.contains_key("restore-keys"), "another lock's cache is no better than none");
    assert!(ci.jobs["ci"].steps.iter().any(|step| step.run.as_deref() == Some(".ci/run")));
}

#[test]
fn every_command_in_a_workflow_is_one_of_ours() {
    let command = Regex::new(r"cargo xtask (?<command>[a-z]+)(?<rest>[^\n]*)").unwrap();
    let option = Regex::new(r"--[a-z][a-z-]*").unwrap();
    let program = Program::with_empty_cache();
    let mut helps = BTreeMap::new();
    let mut found = 0;
    for (place, step) in steps() {
        for captures in command.captures_iter(&step.run.unwrap_or_default()) {
            let name = captures["command"].to_owned();
            let help = helps.entry(name.clone()).or_insert_with(|| program.run(&[&name, "--help"]));
            assert_eq!(help.code, Some(0), "{place}: `cargo xtask {name}`: {}", help.errors);
            for option in option.find_iter(&captures["rest"]) {
                let is_known = help.output.split([' ', ',', '\n', '=']).any(|word| word == option.as_str());
                assert!(is_known, "{place}: `cargo xtask {name}` has no `{}`", option.as_str());
            }
            found += 1;
        }
    }
    assert!(found >= 7, "only {found} commands found");
}

#[test]
fn the_action_takes_its_inputs_through_the_environment() {
    let Action { inputs, runs, .. } = action();
    assert_eq!(runs.using, "composite");
    let [step] = &runs.steps[..] else { panic!("{} steps", runs.steps.len()) };
    let given: BTreeSet<_> = step.env.values().cloned().collect();
    let expected: BTreeSet<_> = inputs.keys().map(|name| format!("${{{{ inputs.{name} }}}}")).collect();
    assert_eq!(given, expected);
    let script = fs_err::read_to_string(folder().join("actions/model/bring.sh")).unwrap();
    for name in step.env.keys() {
        assert!(script.contains(&format!("{{{name}:")), "`bring.sh` does not read `{name}`");
    }
}
