//! The steps of the demo. Each returns what it saw, or what came out otherwise than promised.

use std::fs::File;

use anyhow::{Context as _, ensure};
use leadvault_crypto::{SystemEntropy, age};
use serde_json::{Value, json};

use crate::client::{Answered, Refused, Said};
use crate::demo::server::this_binary;
use crate::demo::world::World;
use crate::exit::Stop;
use crate::{export_cmd, import_cmd};

/// What the tenant instructs: CRM work on everything but biometric and special categories.
const INSTRUCTION: &str = include_str!("../../sample/instruction.json");
/// What the controller attests of its file.
const ATTESTATION: &str = include_str!("../../sample/attestation.json");

/// One step.
type Walk = fn(&mut World) -> anyhow::Result<String>;

/// Every step, in order.
pub(super) const ALL: &[(&str, Walk)] = &[
    ("init", init),
    ("serve", serve),
    ("tenant_with_own_keys", tenant),
    ("instruction_activated", instruction),
    ("import", import),
    ("read_is_logged_first", read),
    ("search_by_email", search),
    ("no_instruction_no_data", refusal),
    ("export_and_verify", export),
    ("checkpoint_kept", keep_checkpoint),
    ("backup_taken_then_erase", erase),
    ("backup_put_back_stays_dead", resurrect),
    ("log_verifies_offline", verify),
];

fn said(what: Result<Said, Stop>) -> anyhow::Result<Answered> {
    match what {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Refused { status, code, .. })) => {
            anyhow::bail!("the server answered {status} {code}")
        }
        Err(stop) => Err(stop.into_error()),
    }
}

fn refused(what: Result<Said, Stop>) -> anyhow::Result<Refused> {
    match what {
        Ok(Err(refused)) => Ok(refused),
        Ok(Ok(answer)) => {
            anyhow::bail!("the server answered {} where it had to refuse", answer.status)
        }
        Err(stop) => Err(stop.into_error()),
    }
}

fn text(body: &Value, member: &str) -> anyhow::Result<String> {
    let value = body.get(member).and_then(Value::as_str);
    value.map(str::to_owned).with_context(|| format!("the answer has no `{member}`"))
}

fn init(world: &mut World) -> anyhow::Result<String> {
    let output = this_binary()?
        .args(["init", "--durability", "accept-total-loss", "--listen", "127.0.0.1:0", "--data"])
        .arg(world.data())
        .output()
        .context("init")?;
    ensure!(output.status.success(), "init ended with {}", output.status);
    crate::serve::allow_copy_on_write_if_needed(&world.config())
}

fn serve(world: &mut World) -> anyhow::Result<String> {
    world.start()?;
    let ready = said(world.operator()?.get("/readyz"))?;
    ensure!(ready.body["ready"] == true, "not ready");
    Ok(format!("{} level {}", world.url(), ready.body["level"].as_str().unwrap_or("?")))
}

fn tenant(world: &mut World) -> anyhow::Result<String> {
    let identity = age::Identity::make(&SystemEntropy)?;
    let recipient = identity.recipient().to_string();
    world.identity = identity.expose().as_str().to_owned().into();
    world.write_secret(&world.identity_file(), world.identity.expose())?;
    let body = json!({
        "name": "Example Leads Ltd", "region": "local", "controller_country": "DE",
        "locations": { "store": ["DE"], "access": ["DE", "US"] },
        "agreement": { "id": "dpa-1", "version": "1", "sha256": "0".repeat(64) },
        "export_recipient": recipient,
    });
    let made = said(world.operator()?.post("/v1/tenants", &body, None))?.body;
    world.tenant = text(&made, "id")?;
    let origin = text(&made["log"], "origin")?;
    world.tenant_uuid = origin.rsplit('/').next().unwrap_or_default().to_owned();
    world.write_secret(&world.key_file(), &text(&made["key"], "secret")?)?;
    std::fs::write(world.vkey_file(), format!("{}\n", text(&made["log"], "vkey")?))?;
    let keys = said(world.controller()?.get("/v1/tenant"))?.body;
    Ok(format!("{} keys: {}", world.tenant, keys["keys"]))
}

fn instruction(world: &mut World) -> anyhow::Result<String> {
    let client = world.controller()?;
    let dataset = said(client.post(
        "/v1/datasets",
        &json!({ "name": "Spring fair", "default_region": "US" }),
        None,
    ))?;
    world.dataset = text(&dataset.body, "id")?;
    let instruction = serde_json::from_str(INSTRUCTION).context("the instruction")?;
    let drafted = said(client.post("/v1/instructions", &instruction, None))?.body;
    world.instruction = text(&drafted, "id")?;
    let path = format!("/v1/instructions/{}/activate", world.instruction);
    let active = said(client.post(&path, &json!({ "version": 1 }), None))?;
    ensure!(active.status == 200, "activation answered {}", active.status);
    let reader = json!({ "name": "reader", "role": "reader", "principal": "p2", "employer": "tenant", "country": "DE" });
    let reader = said(client.post("/v1/keys", &reader, None))?.body;
    world.write_secret(&world.reader_key_file(), &text(&reader, "secret")?)?;
    Ok(format!("{} sha256 {}", world.instruction, &text(&active.body, "hash")?))
}

fn import(world: &mut World) -> anyhow::Result<String> {
    let client = world.instructed()?;
    let body = json!({
        "dataset": world.dataset, "format": "auto", "mapping": null,
        "duplicates": { "by": ["email"], "action": "skip" }, "default_region": null,
        "attestation": serde_json::from_str::<Value>(ATTESTATION).context("the attestation")?,
    });
    let made = said(client.post("/v1/imports", &body, None))?.body;
    let len = std::fs::metadata(&world.file)?.len();
    let id = text(&made, "id")?;
    let done = import_cmd::upload(&client, &id, &world.file, len).map_err(Stop::into_error)?.body;
    let rows = &done["rows"];
    let count = |name: &str| rows[name].as_u64().unwrap_or(0);
    ensure!(done["state"] == "done", "the import is {}", done["state"]);
    ensure!(
        count("read") == count("stored") + count("updated") + count("skipped") + count("rejected"),
        "the rows do not add up"
    );
    ensure!(count("stored") > 1, "too few rows were stored");
    world.rows = count("stored");
    let mapped = done["mapping"]
        .as_array()
        .map_or(0, |m| m.iter().filter(|c| !c["field"].is_null()).count());
    Ok(format!(
        "{} of {} rows stored, {} rejected, {mapped} columns mapped",
        count("stored"),
        count("read"),
        count("rejected")
    ))
}

fn read(world: &mut World) -> anyhow::Result<String> {
    let client = world.instructed()?;
    let page = said(client.get(&format!("/v1/leads?dataset={}&limit=10", world.dataset)))?.body;
    let leads = page["data"].as_array().cloned().unwrap_or_default();
    world.leads = leads.iter().filter_map(|l| l["id"].as_str().map(str::to_owned)).collect();
    ensure!(world.leads.len() > 1, "the list is too short");
    let first = world.leads.first().cloned().unwrap_or_default();
    let lead = said(client.get(&format!("/v1/leads/{first}?fields=email,first_name,phone")))?;
    ensure!(lead.body["masked"] == false, "the lead came back masked");
    let index = lead.index.context("the answer has no Ledger-Index")?;
    world.last_index = index;
    let entries = format!("/v1/log/entries?from={index}&to={}", index + 1);
    let entry = said(client.get(&entries))?.body;
    ensure!(entry["operation"] == "read", "entry {index} is not the read");
    ensure!(
        entry["instruction"]["id"] == world.instruction.as_str(),
        "entry {index} names another instruction"
    );
    ensure!(entry["decision"]["code"] == "ALLOW", "entry {index} is no allowance");
    Ok(format!("entry {index}: read under {}", world.instruction))
}

fn search(world: &mut World) -> anyhow::Result<String> {
    let client = world.instructed()?;
    let last = world.leads.last().cloned().unwrap_or_default();
    let lead = said(client.get(&format!("/v1/leads/{last}?fields=email")))?.body;
    let email = lead["fields"]["email"].as_str().unwrap_or_default().to_uppercase();
    let found = said(client.post(
        "/v1/leads/search",
        &json!({ "dataset": world.dataset, "match": { "email": email }, "fields": ["email"] }),
        None,
    ))?
    .body;
    let ids: Vec<_> =
        found["data"].as_array().into_iter().flatten().filter_map(|l| l["id"].as_str()).collect();
    ensure!(ids == [last.as_str()], "the search found {} leads", ids.len());
    Ok(format!("{} lead, by its address in capitals", ids.len()))
}

fn refusal(world: &mut World) -> anyhow::Result<String> {
    let first = world.leads.first().cloned().unwrap_or_default();
    // The reader names no instruction and has no default; the permit it could use is suspended for the
    // length of this step, so that nothing matches.
    let controller = world.controller()?;
    let path = format!("/v1/instructions/{}", world.instruction);
    said(controller.post(&format!("{path}/suspend"), &json!({}), None))?;
    let no = refused(world.reader()?.get(&format!("/v1/leads/{first}?fields=email")));
    said(controller.post(&format!("{path}/resume"), &json!({}), None))?;
    let no = no?;
    ensure!(no.status == 403, "the server answered {}", no.status);
    ensure!(no.code == "DENY_NO_INSTRUCTION", "the code is {}", no.code);
    Ok(format!("{} {}", no.status, no.code))
}

fn export(world: &mut World) -> anyhow::Result<String> {
    let args = crate::cli::ExportArgs {
        server: crate::cli::ServerArgs { url: world.url(), key_file: world.key_file() },
        out: world.export_file(),
        force: false,
        dataset: None,
        plain: false,
        json: false,
    };
    export_cmd::fetch(&args).map_err(Stop::into_error)?;
    let output = this_binary()?
        .args(["verify", "export"])
        .arg(world.export_file())
        .arg("--vkey")
        .arg(world.vkey_file())
        .arg("--identity")
        .arg(world.identity_file())
        .output()?;
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    ensure!(verdict["ok"] == true, "verify export: {} at {}", verdict["failure"], verdict["at"]);
    Ok(format!("{} bytes, age-encrypted, verified", std::fs::metadata(world.export_file())?.len()))
}

fn keep_checkpoint(world: &mut World) -> anyhow::Result<String> {
    world.published(world.last_index)?;
    std::fs::copy(world.log_dir().join("checkpoint"), world.checkpoint_file())?;
    let text = std::fs::read_to_string(world.checkpoint_file())?;
    Ok(format!("size {}", text.lines().nth(1).unwrap_or("?")))
}

fn erase(world: &mut World) -> anyhow::Result<String> {
    copy_database(world, "data.db", "backup.db")?;
    let client = world.controller()?;
    world.erased = world.leads.first().cloned().unwrap_or_default();
    let path = format!("/v1/leads/{}/erase", world.erased);
    let receipt = said(client.post(&path, &json!({}), Some("demo-erase-1")))?.body;
    ensure!(receipt["type"] == "ErasureReceipt", "no receipt came back");
    let file = world.dir().join("erasure-receipt.json");
    std::fs::write(&file, serde_json::to_vec(&receipt)?)?;
    let output = this_binary()?
        .args(["verify", "receipt"])
        .arg(&file)
        .arg("--vkey")
        .arg(world.vkey_file())
        .output()?;
    ensure!(output.status.success(), "the receipt does not verify");
    let gone =
        refused(world.instructed()?.get(&format!("/v1/leads/{}?fields=email", world.erased)))?;
    ensure!(gone.status == 404, "the erased lead answers {}", gone.status);
    Ok(format!("epoch {}, level {}, receipt verified", receipt["epoch"], receipt["level"]))
}

/// A consistent copy of a database that is being written: the backup API, through a stopped server.
fn copy_database(world: &mut World, from: &str, to: &str) -> anyhow::Result<()> {
    world.stop();
    for suffix in ["", "-wal"] {
        let source = world.data().join(format!("{from}{suffix}"));
        let target = world.dir().join(format!("{to}{suffix}"));
        if source.exists() {
            std::fs::copy(&source, &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    world.start()
}

fn resurrect(world: &mut World) -> anyhow::Result<String> {
    world.stop();
    for suffix in ["", "-wal", "-shm"] {
        let place = world.data().join(format!("data.db{suffix}"));
        let copy = world.dir().join(format!("backup.db{suffix}"));
        if place.exists() {
            std::fs::remove_file(&place)?;
        }
        if copy.exists() {
            std::fs::copy(&copy, &place)?;
        }
    }
    world.start()?;
    let client = world.instructed()?;
    let gone = refused(client.get(&format!("/v1/leads/{}?fields=email", world.erased)))?;
    ensure!(gone.status == 404, "the erased lead answers {}", gone.status);
    let mut alive = 0;
    for lead in world.leads.iter().skip(1) {
        let read = said(client.get(&format!("/v1/leads/{lead}?fields=email")))?;
        ensure!(read.body["masked"] == false, "a lead came back masked");
        world.last_index = world.last_index.max(read.index.unwrap_or(0));
        alive += 1;
    }
    Ok(format!("the erased lead stays 404, {alive} others read"))
}

fn verify(world: &mut World) -> anyhow::Result<String> {
    world.published(world.last_index)?;
    let output = this_binary()?
        .args(["verify", "log"])
        .arg(world.log_dir())
        .arg("--vkey")
        .arg(world.vkey_file())
        .arg("--since")
        .arg(world.checkpoint_file())
        .output()?;
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    ensure!(verdict["ok"] == true, "verify log: {} at {}", verdict["failure"], verdict["at"]);
    Ok(format!("{} entries, root {}", verdict["size"], verdict["root"].as_str().unwrap_or("?")))
}
