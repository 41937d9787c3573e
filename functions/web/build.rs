//! Packs what the function serves to everybody: the API's document, the page that shows it, and Swagger UI, which comes
//! as a crate. Everything is compressed once here, not at every request.

use std::error::Error;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const HTML: &str = "text/html; charset=utf-8";

/// The files of Swagger UI that the page needs: in its archive, what they are called here, and their type.
const OF_SWAGGER_UI: [(&str, &str, &str); 3] = [
    ("dist/swagger-ui-bundle.js", "swagger-ui-{version}.js", "text/javascript; charset=utf-8"),
    ("dist/swagger-ui.css", "swagger-ui-{version}.css", "text/css; charset=utf-8"),
    ("dist/favicon-32x32.png", "favicon-{version}.png", "image/png"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=assets");
    let mut packed =
        Packed { folder: std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?.into(), list: String::new() };
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let first = archive.file_names().next().ok_or("the archive is empty")??;
    let root = first.split('/').next().unwrap_or_default().to_owned();
    let version = root.strip_prefix("swagger-ui-").ok_or("the archive's folder is not named by a version")?;

    packed.add(
        "/openapi.json",
        "application/json",
        "UntilRelease",
        &std::fs::read("assets/openapi.json")?,
    )?;
    let page = std::fs::read_to_string("assets/docs.html")?.replace("{version}", version);
    packed.add("/docs", HTML, "UntilRelease", page.as_bytes())?;
    for (in_archive, name, media_type) in OF_SWAGGER_UI {
        let mut bytes = Vec::new();
        archive.by_name(&format!("{root}/{in_archive}"))?.read_to_end(&mut bytes)?;
        let path = format!("/docs/{}", name.replace("{version}", version));
        packed.add(&path, media_type, "ForGood", &bytes)?;
    }
    packed.write()
}

/// What is packed so far, and the list of it as Rust.
struct Packed {
    folder: PathBuf,
    list: String,
}

impl Packed {
    fn add(&mut self, path: &str, media_type: &str, kept: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes)?;
        let name = format!("{}.gz", path.trim_start_matches('/').replace('/', "-"));
        let packed = self.folder.join(name);
        std::fs::write(&packed, encoder.finish()?)?;
        // Not against anybody: it only has to differ from release to release.
        let mut hasher = DefaultHasher::new();
        hasher.write(bytes);
        writeln!(
            self.list,
            "    File {{ path: {path:?}, asset: Published {{ media_type: {media_type:?}, \
             tag: \"W/\\\"{:016x}\\\"\", kept: Kept::{kept}, gzip: include_bytes!({packed:?}) }} }},",
            hasher.finish(),
        )?;
        Ok(())
    }

    fn write(self) -> Result<(), Box<dyn Error>> {
        std::fs::write(self.folder.join("files.rs"), format!("&[\n{}]\n", self.list))?;
        Ok(())
    }
}
