//! How do I use a serializer of my own? A plug-in registers it under a name, and the setting `serializer_cls` selects
//! it.
//!
//! Run with
//!
//! ```not_rust
//! cargo run -p custom-serializer
//! ```

use custom_serializer::ChecksumPlugin;
use pynenc::core::record::Payload;
use pynenc::prelude::*;

/// Greets.
#[task]
async fn greet(name: String) -> String {
    format!("hello, {name}")
}

#[tokio::main]
async fn main() -> Result<()> {
    let builder =
        Pynenc::builder().plugin(ChecksumPlugin).set("serializer_cls", "custom_serializer::ChecksumSerializer");
    let app = builder.build().await?;
    let runner = app.start_runner().await?;

    let invocation = app.submit(greet("Ada".to_owned())).await?;
    println!("result:      {}", invocation.result().await?);
    // The stored record shows the name of the serializer, and the argument with its checksum.
    for record in app.parts().state.invocations(&[invocation.id()]).await?.into_iter().flatten() {
        println!("serializer:  {}", record.serializer);
        for argument in &record.arguments {
            if let Payload::Inline(bytes) = &argument.value {
                println!("{:<12} {}", format!("{}:", argument.name), String::from_utf8_lossy(bytes));
            }
        }
    }

    runner.shutdown().await
}
