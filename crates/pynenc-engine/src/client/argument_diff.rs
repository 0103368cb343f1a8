//! The difference between a call's arguments and those of an existing invocation.

use pynenc_core::InvocationId;
use pynenc_core::lane::Submission;
use pynenc_core::record::{Argument, InvocationRecord};

use super::call::EncodedCall;
use crate::engine::Engine;
use crate::error::{ArgumentDiff, Result};

impl Engine {
    /// The arguments that differ between a call and the existing invocation; none if its record is gone.
    pub(super) async fn difference(
        &self,
        submission: &Submission,
        existing: InvocationId,
    ) -> Result<Vec<ArgumentDiff>> {
        let Some(record) = self.parts().state.invocations(&[existing]).await?.pop().flatten() else {
            return Ok(Vec::new());
        };
        Ok(self.compare(&submission.record.arguments, &submission.record.serializer, &record))
    }

    /// Compares the arguments of a call with those of an invocation.
    pub fn differs(&self, call: &EncodedCall, record: &InvocationRecord) -> Vec<ArgumentDiff> {
        self.compare(&call.arguments, &call.serializer, record)
    }

    fn compare(&self, arguments: &[Argument], serializer: &str, record: &InvocationRecord) -> Vec<ArgumentDiff> {
        let mut diff = Vec::new();
        for called in arguments {
            let found = record.arguments.iter().find(|argument| argument.name == called.name);
            let shown = found.map(|argument| self.shown(&argument.value, &record.serializer));
            let called_with = self.shown(&called.value, serializer);
            if shown.as_ref() != Some(&called_with) {
                let existing = shown.map_or_else(|| "nothing".to_owned(), |shown| shown.to_string());
                diff.push(ArgumentDiff { name: called.name.to_string(), existing, called: called_with.to_string() });
            }
        }
        diff
    }
}
