//! `leadvault demo`: the whole promise on one lead file, as an HTTP client of a server it starts.
//!
//! Every line it prints is computed from an answer of the server or from a file on disk. The server is
//! another process of this binary; "stop" is SIGKILL, "start" opens the files from disk.

mod interrupt;
mod server;
mod steps;
mod world;

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use leadvault_crypto::SystemEntropy;
use leadvault_domain::Entropy as _;
use serde::Serialize;

use crate::cli::DemoArgs;
use crate::exit::{Done, Stop};
use crate::output::print_json;

use interrupt::Shared;
use world::World;

/// The sample that ships with the binary: invented people.
const SAMPLE: &[u8] = include_bytes!("../../sample/leads-1000.csv");

/// One step, as it is printed.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    ms: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    says: String,
}

/// What `--once` prints last (surfaces.md 1).
#[derive(Debug, Serialize)]
struct Report<'a> {
    ok: bool,
    steps: &'a [Step],
    log_dir: PathBuf,
    vkey_file: PathBuf,
    export_file: PathBuf,
}

/// Runs the demo.
///
/// # Errors
/// 1 if any step came out otherwise than promised; 2 if the file cannot be read or the directory not be
/// used; 4 when it was interrupted.
pub(crate) fn run(args: &DemoArgs) -> Done {
    let file = args.file.as_deref().map(lead_file).transpose()?;
    let shared = Shared::default();
    shared.end_on_signal()?;
    let dir = directory(args, &shared)?;
    let outcome = in_directory(args, &dir, file, &shared);
    shared.clear();
    outcome
}

fn in_directory(args: &DemoArgs, dir: &Path, file: Option<PathBuf>, shared: &Shared) -> Done {
    let file = match file {
        Some(file) => file,
        None => {
            let file = dir.join("sample.csv");
            std::fs::write(&file, SAMPLE).context("cannot write the sample file")?;
            file
        }
    };
    let mut world = World::new(dir, file, shared.clone());
    let steps = walk(&mut world, args.once);
    let ok = steps.iter().all(|s| s.ok) && steps.len() == steps::ALL.len();
    let report = Report {
        ok,
        steps: &steps,
        log_dir: world.log_dir(),
        vkey_file: world.vkey_file(),
        export_file: world.export_file(),
    };
    if args.once {
        world.end();
        print_json(&report)?;
    } else if ok {
        linger(&world, args.dir.is_some());
    }
    if ok { Ok(()) } else { Err(Stop::No) }
}

/// Runs the steps in order; the first that fails ends the walk.
fn walk(world: &mut World, once: bool) -> Vec<Step> {
    let mut done = Vec::new();
    for (name, step) in steps::ALL {
        let begin = world.elapsed();
        let outcome = step(world);
        let ms =
            u64::try_from(world.elapsed().saturating_sub(begin).as_millis()).unwrap_or(u64::MAX);
        let (ok, says) = match outcome {
            Ok(says) => (true, says),
            Err(error) => (false, format!("{error:#}")),
        };
        let mark = if ok { "ok  " } else { "FAIL" };
        say!("{mark} {name:<28} {ms:>6} ms  {says}");
        done.push(Step { name, ok, ms, says: if ok && once { String::new() } else { says } });
        if !ok {
            break;
        }
    }
    done
}

/// The lead file that was named.
fn lead_file(file: &Path) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    let open = std::fs::File::open(file).with_context(|| format!("--file: cannot read {shown}"))?;
    let kind = open.metadata().with_context(|| format!("--file: cannot read {shown}"))?;
    anyhow::ensure!(kind.is_file(), "--file: {shown} is no file");
    anyhow::ensure!(kind.len() > 0, "--file: {shown} is empty");
    file.canonicalize().with_context(|| format!("--file: cannot read {shown}"))
}

/// Where everything lies; a new temporary directory, which goes at the end unless its paths are the result,
/// or the one that was named.
fn directory(args: &DemoArgs, shared: &Shared) -> anyhow::Result<PathBuf> {
    if let Some(dir) = &args.dir {
        let shown = dir.display();
        std::fs::create_dir_all(dir).with_context(|| format!("--dir: cannot make {shown}"))?;
        let mut entries = std::fs::read_dir(dir).with_context(|| format!("--dir: {shown}"))?;
        anyhow::ensure!(entries.next().is_none(), "--dir: {shown} is not empty");
        return dir.canonicalize().with_context(|| format!("--dir: {shown}"));
    }
    let mut name = [0_u8; 8];
    SystemEntropy.fill(&mut name).context("randomness")?;
    let dir = std::env::temp_dir().join(format!("leadvault-demo-{}", hex::encode(name)));
    let shown = dir.display();
    let made = std::fs::DirBuilder::new().mode(0o700).create(&dir);
    made.with_context(|| format!("cannot make {shown}"))?;
    if !args.once {
        shared.left().directory = Some(dir.clone());
    }
    dir.canonicalize().with_context(|| format!("cannot use {shown}"))
}

/// Shows address and keys, and waits until Ctrl-C.
fn linger(world: &World, is_kept: bool) {
    let after = if is_kept { "is kept" } else { "is gone" };
    say!("\nThe server is running until you press Ctrl-C; everything below {after} then.");
    say!("  address     {}", world.url());
    say!("  operator    {}", world.data().join("operator.key").display());
    say!("  controller  {}", world.key_file().display());
    say!("  reader      {}", world.reader_key_file().display());
    say!("  dataset     {}", world.dataset());
    say!("  instruction {}", world.instruction());
    say!(
        "\n  curl -H \"Authorization: Bearer $(cat {})\" {}/v1/tenant\n",
        world.key_file().display(),
        world.url()
    );
    world.linger();
}
