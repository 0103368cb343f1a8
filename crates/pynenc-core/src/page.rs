//! Pages of listings, and the cursors between them.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::InvocationId;

/// A position in the order of a listing. The next page begins behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The time by which the listing is ordered, such as the time of registration. Zero where only ids count.
    pub at: Timestamp,
    /// The last item.
    pub id: InvocationId,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of the listing. A store examines a bounded number of entries for a page. So a page that
    /// isn't the last one may have fewer items than requested, or none.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// Reads all pages of a listing.
///
/// # Errors
///
/// As `read`.
pub async fn all_pages<T, F>(mut read: impl FnMut(Option<Cursor>) -> F) -> Result<Vec<T>>
where
    F: Future<Output = Result<Page<T>>>,
{
    let mut page = read(None).await?;
    let mut items = std::mem::take(&mut page.items);
    while let Some(cursor) = page.next {
        page = read(Some(cursor)).await?;
        items.append(&mut page.items);
    }
    Ok(items)
}
