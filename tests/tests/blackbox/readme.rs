//! The walk of the README, taken from the document and run by bash as it stands there.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use leadvault_tests::kit::binary;

/// The address the walk uses; the test puts a free one in its place.
const ADDRESS: &str = "127.0.0.1:8620";
/// The line after which the test accepts whatever filesystem it runs on.
const INIT: &str = "--durability accept-total-loss\n";
/// A walk that hangs ends here, and its server with it. Seconds.
const PATIENCE: &str = "180";

fn is_present(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn walk(readme: &str) -> String {
    let block = readme.split("```bash\n").nth(1).and_then(|rest| rest.split("```").next());
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address").to_string();
    let block = block.expect("the README has a bash block");
    assert!(block.contains(INIT) && block.contains(ADDRESS));
    let init = format!(
        "--durability accept-total-loss --listen {ADDRESS}\n\
         sed -i 's/allow_copy_on_write = false/allow_copy_on_write = true/' walk/leadvault.toml\n"
    );
    let block = block.replace(INIT, &init).replace(ADDRESS, &address);
    // Whatever happens, what was started in the background is stopped.
    format!("trap 'kill $(jobs -p) 2> /dev/null' EXIT\n{block}")
}

#[test]
fn the_walk_of_the_readme_works_as_it_stands() {
    if !["bash", "curl", "jq", "timeout"].into_iter().all(is_present) {
        let line = b"SKIPPED: curl or jq is not here; the walk of the README is not walked\n";
        std::io::stderr().write_all(line).expect("stderr");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README");
    let dir = tempfile::tempdir().expect("a directory");
    let crates = root.join("crates").canonicalize().expect("the sources");
    std::os::unix::fs::symlink(crates, dir.path().join("crates")).expect("a link");
    let mut path = binary().parent().expect("its directory").as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("timeout")
        .args([PATIENCE, "bash", "-c", &walk(&readme)])
        .current_dir(dir.path())
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{out}\n{}", String::from_utf8_lossy(&output.stderr));
    for said in [
        "\"status\":\"active\"",
        "1000 read, 1000 stored",
        "{\"masked\":true,\"email\":\"l…@o….com\"}",
        "{\"masked\":false,\"email\":\"lars.vandermeer1@okaforashdown.com\"}",
        "{\"operation\":\"read\",\"purpose\":\"crm_operations\",\"decision\":{\"code\":\"ALLOW\"}",
        "{\"status\":403,\"code\":\"DENY_PURPOSE\"",
        "{\"email\":\"lars.vandermeer1@okaforashdown.com\"}",
        "{\"status\":404,\"code\":\"not_found\"}",
    ] {
        assert!(out.contains(said), "the walk does not say {said}:\n{all}");
    }
    assert_eq!(out.matches("\"ok\":true").count(), 3, "export, receipt and log verify:\n{all}");
}
