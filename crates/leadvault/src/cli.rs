//! The command line (surfaces.md 1). stdout carries the result, stderr speaks to people.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The processor side of a lead platform: keeps other companies' leads on their instructions, and lets
/// each of them prove it.
#[derive(Debug, Parser)]
#[command(name = "leadvault", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a data directory: keys, configuration, operator key.
    #[command(
        after_help = "Examples:\n  leadvault init --data ./vault --durability mirror=/mnt/other-disk/leadvault\n  leadvault init --data ./vault --durability mirror=/mnt/other-disk/leadvault \\\n    --data-url-file data.url --keys-url-file keys.url"
    )]
    Init(InitArgs),
    /// Serve the HTTP API.
    #[command(after_help = "Example:\n  leadvault serve --config ./vault/leadvault.toml")]
    Serve(ConfigArgs),
    /// Show the whole promise on a lead file, over HTTP, against a server of its own.
    #[command(after_help = "Examples:\n  leadvault demo\n  leadvault demo --once --file leads.csv")]
    Demo(DemoArgs),
    /// Import a CSV or JSON Lines file, or an export package, into a dataset.
    ///
    /// Ends with 0 when every row came in or was skipped, 1 when rows were rejected, 2 when the file or a
    /// setting is not usable, 4 when the server is gone: run it again with --resume.
    #[command(
        after_help = "Examples:\n  leadvault import leads.csv --url http://127.0.0.1:8620 --key-file tenant.key \\\n    --dataset ds_01… --attestation attestation.json\n  leadvault import leads.csv … --duplicates update --duplicates-by email,external_id --json\n  leadvault import export-exp_01….zip.age … --identity age-identity.txt\n\nThe attestation (R-006):\n  {\"source\":\"trade fair\",\"legal_basis\":\"consent\",\"notice\":{\"given\":true,\"at\":\"2026-10-01\"},\n   \"jurisdictions\":[\"US-CA\"],\"no_minors\":true,\"no_special_category\":true}\nA mapping, by header or by column index from 0:\n  {\"Phone 1\":\"phone\"}   {\"0\":\"email\",\"3\":\"company\"}"
    )]
    Import(ImportArgs),
    /// Export everything, or one dataset, into a package.
    ///
    /// Waits until the package is made and downloads it. A command that was cut off goes on where it was when it
    /// is run again. The package is encrypted to the recipient registered for the tenant.
    #[command(
        after_help = "Examples:\n  leadvault export --url http://127.0.0.1:8620 --key-file tenant.key --out leads.zip.age\n  leadvault export --url http://127.0.0.1:8620 --key-file tenant.key --out fair.zip --dataset ds_01… --plain\n\nThen:\n  leadvault verify export leads.zip.age --vkey log.vkey --identity age.key\n  age --decrypt --identity age.key leads.zip.age > leads.zip\n\nExit codes: 0 written, 1 the server made no export, 2 usage or FILE is there, 4 run it again."
    )]
    Export(ExportArgs),
    /// Verify a log, an export or a receipt, offline.
    #[command(subcommand)]
    Verify(VerifyCommand),
    /// Follow a log.
    #[command(subcommand)]
    Log(LogCommand),
    /// Put a copy of the data store back, beside the current keys and slots.
    #[command(
        after_help = "Stop the service first. Reads data.db of the backup and nothing else; keys.db and slots/ are \
                      never restored.\n\nExample:\n  leadvault restore --config ./vault/leadvault.toml --from /backup/2026-11-20"
    )]
    Restore {
        /// The configuration file that `init` wrote.
        #[arg(long)]
        config: PathBuf,
        /// The backup: a directory that holds `data.db`, or that file.
        #[arg(long)]
        from: PathBuf,
    },
    /// Make the schema of the two databases of PostgreSQL, or bring it up.
    ///
    /// Connects as the owner of the tables, which the service never does. Each file holds one URL and is readable to
    /// its owner alone.
    #[command(
        after_help = "Example:\n  createdb leads && createdb lead_keys\n  leadvault migrate --data-url-file owner-data.url --keys-url-file owner-keys.url\n  psql leads -c 'CREATE ROLE vault LOGIN PASSWORD … IN ROLE lv_app'\n  leadvault init --data ./vault … --data-url-file data.url --keys-url-file keys.url\n\nA URL:\n  postgres://owner:password@db.example:5432/leads?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem"
    )]
    Migrate {
        /// File that holds the URL of the data store's database.
        #[arg(long)]
        data_url_file: PathBuf,
        /// File that holds the URL of the key store's database.
        #[arg(long)]
        keys_url_file: PathBuf,
    },
    /// Copy an embedded vault into two databases of PostgreSQL, which `migrate` has prepared.
    ///
    /// Stop the service first. Rows go as they are, sealed; both sides are compared by number and digest. Run it again
    /// when it was cut off. At the end the configuration names the databases and the files are set aside.
    #[command(
        after_help = "Example:\n  leadvault migrate --data-url-file owner-data.url --keys-url-file owner-keys.url\n  leadvault move-store --config ./vault/leadvault.toml --data-url-file data.url --keys-url-file keys.url\n  leadvault serve --config ./vault/leadvault.toml"
    )]
    MoveStore {
        /// The configuration file that `init` wrote.
        #[arg(long)]
        config: PathBuf,
        /// File that holds the URL of the data store's database.
        #[arg(long)]
        data_url_file: PathBuf,
        /// File that holds the URL of the key store's database.
        #[arg(long)]
        keys_url_file: PathBuf,
    },
    /// Check configuration, files, keys, schema and the machine.
    #[command(after_help = "Example:\n  leadvault doctor --config ./vault/leadvault.toml")]
    Doctor(ConfigArgs),
    /// Print the OpenAPI document of this build.
    #[command(after_help = "Example:\n  leadvault openapi > openapi.json")]
    Openapi,
    /// Ask a running server for its health; for container health checks.
    #[command(after_help = "Example:\n  leadvault health --url http://127.0.0.1:8620/healthz")]
    Health {
        /// The URL to ask.
        #[arg(long)]
        url: String,
    },
    /// Key store work.
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Directory to make, mode 0700.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// What keeps the key store from being lost: `mirror=DIR` or `accept-total-loss`. May be repeated.
    #[arg(long, required = false)]
    pub(crate) durability: Vec<String>,
    /// Address the server will listen on.
    #[arg(long, default_value = "127.0.0.1:8620")]
    pub(crate) listen: String,
    /// Name of the deployment in the origin of every log.
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    /// Country the machine stands in (ISO 3166-1 alpha-2).
    #[arg(long, default_value = "DE")]
    pub(crate) country: String,
    /// PostgreSQL instead of SQLite: file that holds the URL of the data store's database.
    #[arg(long, requires = "keys_url_file")]
    pub(crate) data_url_file: Option<PathBuf>,
    /// File that holds the URL of the key store's database, which is another one.
    #[arg(long, requires = "data_url_file")]
    pub(crate) keys_url_file: Option<PathBuf>,
}

/// A configuration file.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file that `init` wrote.
    #[arg(long)]
    pub(crate) config: PathBuf,
}

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End after the last step and print the result as JSON.
    #[arg(long)]
    pub(crate) once: bool,
    /// Keep everything in this directory instead of a temporary one.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
    /// Lead file to use instead of the sample that ships with the binary.
    #[arg(long)]
    pub(crate) file: Option<PathBuf>,
}

/// Where a server is and with which key.
#[derive(Debug, Args, Clone)]
pub(crate) struct ServerArgs {
    /// Base URL of the server.
    #[arg(long, env = "LEADVAULT_URL")]
    pub(crate) url: String,
    /// File that holds the API key.
    #[arg(long)]
    pub(crate) key_file: PathBuf,
}

/// `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// CSV or JSON Lines file, or an export package (`.zip`, `.zip.age`).
    pub(crate) file: PathBuf,
    /// The server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Dataset to import into.
    #[arg(long)]
    pub(crate) dataset: String,
    /// JSON file with the attestation of R-006. Without it the import lands in quarantine.
    #[arg(long)]
    pub(crate) attestation: Option<PathBuf>,
    /// Instruction the import acts under.
    #[arg(long)]
    pub(crate) instruction: Option<String>,
    /// Purpose of the import.
    #[arg(long)]
    pub(crate) purpose: Option<String>,
    /// JSON file: header or column index → field.
    #[arg(long)]
    pub(crate) mapping: Option<PathBuf>,
    /// What to do with a lead that is there already.
    #[arg(long, default_value = "skip", value_parser = ["skip", "update", "reject"])]
    pub(crate) duplicates: String,
    /// What a lead is recognised by.
    #[arg(long, default_value = "email", value_delimiter = ',',
        value_parser = ["email", "phone", "external_id"])]
    pub(crate) duplicates_by: Vec<String>,
    /// File that holds the age identity, for an encrypted package.
    #[arg(long)]
    pub(crate) identity: Option<PathBuf>,
    /// File that holds the log's verifier key: an export package must be signed by it. Without it a package must
    /// be whole, by the key inside.
    #[arg(long)]
    pub(crate) vkey: Option<PathBuf>,
    /// Go on with an import that was cut off: its id. The file must be the same.
    #[arg(long)]
    pub(crate) resume: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The server.
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// File to write, mode 0600.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Replace FILE if it is there.
    #[arg(long)]
    pub(crate) force: bool,
    /// One dataset instead of all.
    #[arg(long)]
    pub(crate) dataset: Option<String>,
    /// Unencrypted: whoever has the file reads it. The log says so.
    #[arg(long)]
    pub(crate) plain: bool,
    /// Print the export as JSON instead of the name of the file.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `verify`.
#[derive(Debug, Subcommand)]
pub(crate) enum VerifyCommand {
    /// A log: a directory with `checkpoint` and `tile/`, or the URL of a server's `/v1/log`.
    #[command(
        after_help = "Example:\n  leadvault verify log ./log --vkey log.vkey --since checkpoint.last-week"
    )]
    Log {
        /// Directory or URL.
        source: String,
        /// File that holds the log's verifier key.
        #[arg(long)]
        vkey: PathBuf,
        /// A checkpoint or a `Ledger-Receipt` kept from before: detects rollback and fork.
        #[arg(long)]
        since: Option<PathBuf>,
        /// File that holds an API key, for a URL.
        #[arg(long)]
        key_file: Option<PathBuf>,
    },
    /// An export package.
    #[command(
        after_help = "Example:\n  leadvault verify export leads.zip.age --vkey log.vkey --identity export.identity"
    )]
    Export {
        /// The package, `.zip` or `.zip.age`.
        file: PathBuf,
        /// File that holds the log's verifier key.
        #[arg(long)]
        vkey: PathBuf,
        /// File that holds the age identity, for an encrypted package.
        #[arg(long)]
        identity: Option<PathBuf>,
    },
    /// An erasure receipt, a deletion certificate or a `Ledger-Receipt`.
    #[command(
        after_help = "Example:\n  leadvault verify receipt erasure-receipt.json --vkey log.vkey"
    )]
    Receipt {
        /// The receipt.
        file: PathBuf,
        /// File that holds the log's verifier key.
        #[arg(long)]
        vkey: PathBuf,
    },
}

/// `log`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Keep the newest checkpoint in a file and check each time that the log only grew.
    #[command(
        after_help = "Example:\n  leadvault log watch --url http://127.0.0.1:8620 --key-file tenant.key --vkey log.vkey --state kept.checkpoint"
    )]
    Watch {
        /// The server.
        #[command(flatten)]
        server: ServerArgs,
        /// File that holds the log's verifier key.
        #[arg(long)]
        vkey: PathBuf,
        /// File that keeps the last checkpoint.
        #[arg(long)]
        state: PathBuf,
        /// Look once and end.
        #[arg(long)]
        once: bool,
        /// Seconds between two looks.
        #[arg(long, default_value_t = 60)]
        every_seconds: u64,
    },
    /// Put another key in the place of the one that signs every log.
    #[command(
        name = "rotate-key",
        after_help = "Stop the service first.\n\nExample:\n  leadvault log rotate-key --config ./vault/leadvault.toml"
    )]
    RotateKey {
        /// The configuration file that `init` wrote.
        #[arg(long)]
        config: PathBuf,
    },
}

/// `keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Rebuild the key store from its mirror: the newest set that the slots open.
    #[command(
        after_help = "Example:\n  leadvault keys restore --mirror /mnt/other-disk/leadvault --config ./vault/leadvault.toml"
    )]
    Restore {
        /// The mirror directory.
        #[arg(long)]
        mirror: PathBuf,
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
}
