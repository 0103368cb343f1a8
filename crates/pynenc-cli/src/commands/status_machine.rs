//! `status-machine`: draws the invocation lifecycle.

use pynenc_engine::Result;

use crate::arguments::Drawing;
use crate::exit::Exit;
use crate::output::Output;
use crate::status_machine;

pub(super) fn draw(format: Drawing, output: &mut Output) -> Result<Exit> {
    let drawing = match format {
        Drawing::Text => status_machine::text(),
        Drawing::Mermaid => status_machine::mermaid(),
        Drawing::Svg => status_machine::svg(),
    };
    output.value(status_machine::json, || drawing)?;
    Ok(Exit::Done)
}
