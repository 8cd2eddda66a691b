//! The commands as the user runs them: the program itself, with an environment of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use kokoro_model::Runtime;
use xtask::environment::Environment;
use xtask::fetch::SourceArgs;
use xtask::recipe::Recipe;
use xtask::workspace::Workspace;

/// Longer than any step takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The cache that `cargo xtask test` filled.
pub fn users_cache() -> PathBuf {
    let cache = Environment::read().cache_folder().unwrap();
    // The program runs in another folder, where a relative path would lead elsewhere.
    fs_err::canonicalize(cache).unwrap_or_else(|error| {
        panic!("no fetched files to test with: {error}\nhint: `cargo xtask test` fetches them and tests")
    })
}

/// What the environment says, with the ONNX Runtime of the tests: a process can load one, and its tests share it.
pub fn environment() -> Environment {
    let library = std::env::var_os("KOKORO_TEST_ONNXRUNTIME").filter(|it| !it.is_empty());
    let read = Environment::read();
    Environment { ort_dylib_path: library.map(PathBuf::from).or(read.ort_dylib_path.clone()), ..read }
}

/// The checkout, and what the environment says.
pub fn workspace() -> Workspace {
    Workspace::of_this_build(environment())
}

/// The committed recipe.
pub fn recipe() -> Recipe {
    workspace().recipe().unwrap()
}

/// The pinned ONNX Runtime.
pub fn runtime() -> Runtime {
    let fetcher = workspace().fetcher(&SourceArgs::default()).unwrap();
    workspace().runtime(&fetcher).unwrap().0
}

/// A folder of one's own and the environment that the program runs in.
pub struct Program {
    folder: tempfile::TempDir,
    cache: PathBuf,
    search_path: Option<PathBuf>,
    certificate: Option<PathBuf>,
}

/// How a run ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

impl Ended {
    fn of(Output { status, stdout, stderr }: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: status.code(), output: text(stdout), errors: text(stderr) }
    }
}

/// The first of five runs that the bench gate does not refuse for speed.
///
/// A call of a small model takes a fraction of a millisecond, so that a busy machine may make either model seem the faster
/// one.
#[track_caller]
pub fn run_in_time(run: impl Fn() -> Ended) -> Ended {
    let in_time = (0..5).map(|_| run()).find(|ended| !ended.errors.contains("`speed_ratio` is"));
    in_time.expect("one of five runs is not refused for its speed")
}

impl Program {
    /// With this folder of fetched files.
    pub fn with_cache(cache: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("tmp")).unwrap();
        Self { folder, cache, search_path: None, certificate: None }
    }

    /// With the user's cache, and a copy of what a run left in the folder `made`.
    pub fn with_artifacts_of(made: &Path) -> Self {
        let program = Self::with_cache(users_cache());
        for folder in ["", "audio"] {
            let copy = program.path("artifacts").join(folder);
            fs_err::create_dir(&copy).unwrap();
            for entry in fs_err::read_dir(made.join(folder)).unwrap().map(Result::unwrap) {
                if entry.path().is_file() {
                    fs_err::copy(entry.path(), copy.join(entry.file_name())).unwrap();
                }
            }
        }
        program
    }

    /// With a cache in its own folder, in which everything of the user's is there and nothing of it is at risk.
    #[cfg(unix)]
    pub fn with_cache_of_links() -> Self {
        let program = Self::with_empty_cache();
        for entry in fs_err::read_dir(users_cache()).unwrap() {
            let entry = entry.unwrap().path();
            if entry.file_name().is_some_and(|name| name.len() == 64) {
                let linked = program.cache.join(entry.file_name().unwrap());
                fs_err::create_dir_all(&linked).unwrap();
                for file in fs_err::read_dir(&entry).unwrap() {
                    let file = file.unwrap().path();
                    let fetched = file.is_file()
                        && !file
                            .extension()
                            .is_some_and(|it| ["part", "etag", "rejected"].iter().any(|no| it == *no));
                    if fetched {
                        fs_err::os::unix::fs::symlink(&file, linked.join(file.file_name().unwrap())).unwrap();
                    }
                }
            }
        }
        program
    }

    /// With a cache of its own, in which there is nothing.
    pub fn with_empty_cache() -> Self {
        let mut program = Self::with_cache(PathBuf::new());
        program.cache = program.path("cache");
        program
    }

    /// Puts a program called `name`, a shell script, where pip and npm are looked for, and looks nowhere else.
    pub fn program(&mut self, name: &str, script: &str) {
        let folder = self.path("programs");
        super::write_script(&folder.join(name), script);
        self.search_path = Some(folder);
    }

    /// Trusts servers with this certificate.
    pub fn trust(&mut self, certificate: PathBuf) {
        self.certificate = Some(certificate);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Whether the program left nothing in the system's folder for temporary files.
    pub fn left_nothing_temporary(&self) -> bool {
        fs_err::read_dir(self.path("tmp")).unwrap().next().is_none()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = env!("CARGO_BIN_EXE_xtask");
        let mut command = if cfg!(target_os = "linux") {
            // Whoever runs the tests may have had them ignore Ctrl-C, as a shell does behind `&`, and that is inherited.
            let mut command = Command::new("/usr/bin/env");
            command.args(["--default-signal=INT", program]);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for variable in ["https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "no_proxy"] {
            command.env_remove(variable);
        }
        command
            .env("KOKORO_MODEL_CACHE", &self.cache)
            // No test reaches a server but those on this machine.
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("NO_PROXY", "127.0.0.1")
            .env("ORT_DYLIB_PATH", std::env::var_os("KOKORO_TEST_ONNXRUNTIME").unwrap_or_default())
            // Plain lines, whatever standard error is.
            .env("CI", "true")
            .env("TMPDIR", self.path("tmp"))
            .env("TEMP", self.path("tmp"))
            .env("TMP", self.path("tmp"));
        if let Some(path) = &self.search_path {
            command.env("PATH", path);
        }
        if let Some(certificate) = &self.certificate {
            command.env("SSL_CERT_FILE", certificate);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// Runs the program to its end with further environment variables, through `wrapper`, which runs what its last
    /// arguments are.
    pub fn run_wrapped(&self, wrapper: &[&str], arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let plain = self.command(arguments);
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ended::of(&command.envs(variables.iter().copied()).output().unwrap())
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            // What a terminal makes of each command, and sends Ctrl-C to: pip gets it, too.
            command.process_group(0);
        }
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                // Nobody listens any more once the test knows enough.
                let _ = sender.send(line);
            }
        });
        Running { interrupter: cfg!(unix).then(|| interrupter(child.id())), child, lines, said: Vec::new() }
    }
}

/// A shell that sends Ctrl-C to a process group as soon as it reads a line. Started beforehand, it is quick enough
/// for a step that is soon over.
fn interrupter(group: u32) -> Child {
    Command::new("sh")
        .args(["-c", "read -r line && kill -s INT -- \"$1\"", "sh", &format!("-{group}")])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A run under way. It ends with the test, however that ends.
pub struct Running {
    child: Child,
    interrupter: Option<Child>,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Running {
    /// Waits until the program says a line with `text` in it.
    pub fn until_it_says(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(line) => {
                    self.said.push(line);
                    if self.said.last().is_some_and(|line| line.contains(text)) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => panic!("ended before `{text}`: {:#?}", self.said),
                Err(RecvTimeoutError::Timeout) => panic!("never said `{text}`: {:#?}", self.said),
            }
        }
    }

    /// Waits until something is at `path`, which the program makes.
    pub fn until_there_is(&mut self, path: &Path) {
        let start = Instant::now();
        while !path.exists() {
            assert!(self.child.try_wait().unwrap().is_none(), "ended before there was `{}`", path.display());
            assert!(start.elapsed() < PATIENCE, "never made `{}`", path.display());
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Presses Ctrl-C; the program must die of it.
    #[cfg(unix)]
    pub fn interrupt(mut self) {
        use std::os::unix::process::ExitStatusExt as _;
        const SIGINT: i32 = 2;
        let interrupter = self.interrupter.as_mut().unwrap();
        interrupter.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(interrupter.wait().unwrap().success(), "ended before it could be interrupted");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "goes on after Ctrl-C\nhint: whoever started the tests may have them ignore it, as `&` in a script does"
            );
            thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(status.signal(), Some(SIGINT), "{status}: {:#?}", self.said);
    }

    /// Waits for the end and returns the exit code.
    pub fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves no program behind; one that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Without a line to read it ends.
        if let Some(interrupter) = &mut self.interrupter {
            drop(interrupter.stdin.take());
            let _ = interrupter.wait();
        }
    }
}
