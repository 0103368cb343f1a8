//! Micro-benchmarks: the status machine, the serializers, and a call made with the macro.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pynenc::prelude::*;
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_core::status::{By, Change, compare_and_set};
use pynenc_core::{Reason, RunnerId, Serializer, SerializerExt, StatusRecord, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[task]
async fn add(x: i64, y: i64) -> i64 {
    x + y
}

fn status_machine(criterion: &mut Criterion) {
    let record = StatusRecord::registered(None, Timestamp::from_millis(0));
    let change = Change::new(Status::Pending, By::Claimer(RunnerId::new()), Reason::Claimed);
    criterion.bench_function("compare and set a claim", |bencher| {
        bencher.iter(|| compare_and_set(black_box(&record), &record, black_box(&change), Timestamp::from_millis(1)));
    });
}

fn serializers(criterion: &mut Criterion) {
    let value = ("order-7".to_owned(), vec![1_u64; 100], Some(2.5));
    for serializer in [&JsonSerializer as &dyn Serializer, &MsgPackSerializer] {
        let name = serializer.name();
        criterion.bench_function(&format!("encode with {name}"), |bencher| {
            bencher.iter(|| serializer.encode(black_box(&value)));
        });
        let bytes = serializer.encode(&value).expect("the value has a form in both");
        criterion.bench_function(&format!("decode with {name}"), |bencher| {
            bencher.iter(|| serializer.decode_as::<(String, Vec<u64>, Option<f64>)>(black_box(&bytes)));
        });
    }
}

/// Workers check that each result can be decoded before they record it.
fn results(criterion: &mut Criterion) {
    result(criterion, "an integer", &7_i64);
    result(criterion, "1 MiB of text", &vec!["sixteen byte text".to_owned(); 1 << 16]);
    result(criterion, "1 MiB of numbers", &(0..1 << 17).map(|n| f64::from(n) / 7.0).collect::<Vec<_>>());
    result(criterion, "1 MiB of bytes as Vec", &vec![7_u8; 1 << 20]);
    result(criterion, "1 MiB of bytes as Bytes", &bytes::Bytes::from(vec![7_u8; 1 << 20]));
}

fn result<T: Serialize + DeserializeOwned>(criterion: &mut Criterion, name: &str, value: &T) {
    for serializer in [&JsonSerializer as &dyn Serializer, &MsgPackSerializer] {
        let of = format!("{name} with {}", serializer.name());
        criterion.bench_function(&format!("encode {of}"), |bencher| {
            bencher.iter(|| serializer.encode(black_box(value)));
        });
        criterion.bench_function(&format!("encode and read back {of}"), |bencher| {
            bencher.iter(|| serializer.encode_readable(black_box(value)));
        });
    }
}

fn calls(criterion: &mut Criterion) {
    criterion.bench_function("make a call", |bencher| {
        bencher.iter(|| add(black_box(1), 2).priority(7).delay(Duration::ZERO));
    });
}

criterion_group!(parts, status_machine, serializers, results, calls);
criterion_main!(parts);
