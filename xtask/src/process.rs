//! Running other programs: always echoed, never through a shell.

use std::process::{Command, Stdio};

use anyhow::Context as _;

/// Ran, and the answer is no.
pub(crate) const EXIT_NO: u8 = 1;
/// Usage, or something needed could not be read or started.
pub(crate) const EXIT_USAGE: u8 = 2;

/// The cargo that runs this program, so that a toolchain override holds for its children too.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Echoes the command, runs it with this terminal and says whether it succeeded.
///
/// # Errors
/// The program could not be started.
pub(crate) fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    eprintln!("+ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    Ok(status.success())
}

/// Whether a program of this name is on the path and answers at all.
pub(crate) fn is_present(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_by_its_bare_name_and_arguments() {
        let mut command = Command::new("/usr/bin/thing");
        command.args(["one", "two"]);
        assert_eq!(shown(&command), "thing one two");
    }

    #[test]
    fn a_program_that_does_not_exist_is_not_present() {
        assert!(!is_present("no-such-program-of-this-name", &[]));
    }
}
