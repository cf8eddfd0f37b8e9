//! The `hephaestus` program.

fn main() -> anyhow::Result<()> {
    Ok(())
}
