#!/usr/bin/env bash
# Two handlers with the same function name in different modules get the same operationId from utoipa, without an error, though
# OpenAPI requires these ids to be unique. openapi-typescript accepts the document and writes types that don't compile.
#
# The module isn't a part of the id, and utoipa-axum merges routers without comparing ids. A program with one module for each
# resource, each with handlers such as `list` and `read`, is the usual layout, so the mistake is made easily, and is found only
# by the users of the document.
#
# Seen 2026-12-01 with utoipa 6.0.0, utoipa-axum 0.3.0, openapi-typescript 7.10.1, typescript 5.9.3:
#   operation ids of GET /cats and GET /dogs   list list
#   openapi-typescript                         exits with 0
#   tsc                                        error TS2300: Duplicate identifier 'list'.
# Fails if any of this changes.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
mkdir "$t/src"
cat > "$t/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"
[dependencies]
utoipa = { version = "=6.0.0", default-features = false, features = ["macros"] }
utoipa-axum = "=0.3.0"
axum = { version = "0.8", default-features = false, features = ["json"] }
[workspace]
TOML
cat > "$t/src/main.rs" <<'RUST'
use utoipa_axum::{router::OpenApiRouter, routes};
mod cats {
    #[utoipa::path(get, path = "/cats", responses((status = 200, body = String)))]
    pub async fn list() -> &'static str { "Tom" }
}
mod dogs {
    #[utoipa::path(get, path = "/dogs", responses((status = 200, body = u64)))]
    pub async fn list() -> &'static str { "7" }
}
fn main() {
    let router: OpenApiRouter = OpenApiRouter::new().routes(routes!(cats::list));
    let merged = router.merge(OpenApiRouter::new().routes(routes!(dogs::list)));
    println!("{}", merged.get_openapi().to_json().unwrap());
}
RUST
cd "$t"
CARGO_TARGET_DIR="$t/target" cargo run -q > api.json
ids=$(grep -o '"operationId":"[^"]*"' api.json | cut -d'"' -f4 | xargs)
echo "operation ids: $ids"
[[ $ids == "list list" ]] || { echo "CHANGED"; exit 1; }
npm install --silent --no-audit --no-fund openapi-typescript@7.10.1 typescript@5.9.3
npx openapi-typescript api.json --output api.ts 2>&1 | grep -v '^$' || true
[[ -s api.ts ]] || { echo "CHANGED: the document is refused"; exit 1; }
if found=$(npx tsc --noEmit api.ts); then echo "CHANGED: the types compile"; exit 1; fi
echo "$found" | head -1
[[ $found == *"TS2300: Duplicate identifier 'list'"* ]] || { echo "CHANGED"; exit 1; }
