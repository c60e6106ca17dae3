//! `leadvault demo`: the whole promise on one lead file, as an HTTP client of a server it starts.
//!
//! Every line it prints is computed from an answer of the server or from a file on disk. The server is
//! another process of this binary; "stop" is SIGKILL, "start" opens the files from disk.

mod server;
mod steps;
mod world;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use crate::cli::DemoArgs;
use crate::exit::{Done, Stop};
use crate::output::print_json;

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
/// 1 if any step came out otherwise than promised; 2 if the file cannot be read.
#[expect(clippy::print_stderr, reason = "stderr speaks to people")]
pub(crate) fn run(args: &DemoArgs) -> Done {
    let (dir, temporary) = directory(args)?;
    let outcome = in_directory(args, &dir);
    if temporary && !args.once {
        std::fs::remove_dir_all(&dir).context("cannot remove the temporary directory")?;
        eprintln!("removed {}", dir.display());
    }
    outcome
}

fn in_directory(args: &DemoArgs, dir: &Path) -> Done {
    let file = match &args.file {
        Some(file) => {
            file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?
        }
        None => {
            let file = dir.join("sample.csv");
            std::fs::write(&file, SAMPLE).context("cannot write the sample file")?;
            file
        }
    };
    let mut world = World::new(dir, file);
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
        world.stop();
        print_json(&report)?;
    } else if ok {
        linger(&world);
    }
    if ok { Ok(()) } else { Err(Stop::No) }
}

/// Runs the steps in order; the first that fails ends the walk.
#[expect(clippy::print_stderr, reason = "stderr speaks to people")]
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
        eprintln!("{mark} {name:<28} {ms:>6} ms  {says}");
        done.push(Step { name, ok, ms, says: if ok && once { String::new() } else { says } });
        if !ok {
            break;
        }
    }
    done
}

/// Where everything lies; a new temporary directory unless one was named.
fn directory(args: &DemoArgs) -> anyhow::Result<(PathBuf, bool)> {
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let empty = std::fs::read_dir(dir)?.next().is_none();
        anyhow::ensure!(empty, "{} is not empty", dir.display());
        return Ok((dir.canonicalize()?, false));
    }
    let dir = std::env::temp_dir().join(format!("leadvault-demo-{}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok((dir.canonicalize()?, true))
}

/// Shows address and keys, and waits until Ctrl-C.
#[expect(clippy::print_stderr, reason = "stderr speaks to people")]
fn linger(world: &World) {
    eprintln!("\nThe server is running. Everything below is gone when you press Ctrl-C.");
    eprintln!("  address     {}", world.url());
    eprintln!("  controller  {}", world.key_file().display());
    eprintln!("  dataset     {}", world.dataset());
    eprintln!("  instruction {}", world.instruction());
    eprintln!(
        "\n  curl -H \"Authorization: Bearer $(cat {})\" {}/v1/tenant\n",
        world.key_file().display(),
        world.url()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            // Either way the demo ends: with the signal, or because it cannot be waited for.
            let _ = runtime.block_on(tokio::signal::ctrl_c());
        }
        Err(_) => std::thread::sleep(Duration::from_secs(3600)),
    }
}
