// SPDX-License-Identifier: MIT
//! peer-ringline ADDRESS: echoes with one ringline worker, in the form of its README.
use ringline::{AsyncEventHandler, ConfigBuilder, ConnCtx, ParseResult, RinglineBuilder};
use std::time::Duration;

struct Echo;

impl AsyncEventHandler for Echo {
    fn on_accept(&self, conn: ConnCtx) -> impl std::future::Future<Output = ()> + 'static {
        async move {
            let mut kept = Vec::new();
            loop {
                let n = conn
                    .with_data(|data| {
                        if conn.send_nowait(data).is_err() {
                            kept.extend_from_slice(data);
                        }
                        ParseResult::Consumed(data.len())
                    })
                    .await;
                if n == 0 {
                    return;
                }
                // Its send pool is exhausted: nothing was queued, so the same bytes go later.
                while !kept.is_empty() {
                    ringline::sleep(Duration::from_micros(100)).await;
                    if !conn.is_alive() {
                        return;
                    }
                    if conn.send_nowait(&kept).is_ok() {
                        kept.clear();
                    }
                }
            }
        }
    }

    fn create_for_worker(_worker: usize) -> Self {
        Echo
    }
}

fn main() {
    let addr = std::env::args().nth(1).expect("usage: peer-ringline ADDRESS");
    // 256 receive buffers of 16 KiB; room for the largest cell, and no pinning: the driver does it.
    let config = ConfigBuilder::new()
        .workers(1)
        .pin_to_core(false)
        .recv_buffer(256, 16 << 10)
        .max_connections(8192)
        .accept_queue_capacity(8192)
        .timer_slots(8192)
        .tcp_nodelay(true)
        .build()
        .expect("a valid configuration");
    let (shutdown, workers) = RinglineBuilder::new(config)
        .bind(addr.parse().expect("an address such as 127.0.0.1:0"))
        .launch::<Echo>()
        .expect("launching the worker");
    println!("listening on {}", shutdown.bound_addr().expect("a TCP listener has an address"));
    for worker in workers {
        worker.join().expect("the worker panicked").expect("the worker ended");
    }
}
