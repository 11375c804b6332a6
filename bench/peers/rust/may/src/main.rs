// SPDX-License-Identifier: MIT
//! peer-may ADDRESS: echoes with may's stackful coroutines on one worker, one per connection.
use may::go;
use may::net::{TcpListener, TcpStream};
use std::io::{self, Read, Write};

fn conn(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = vec![0u8; 16 << 10];
    loop {
        let n = stream.read(&mut buf)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n])?;
    }
}

fn serve(addr: String) -> io::Result<()> {
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        go!(move || drop(conn(stream)));
    }
}

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).expect("usage: peer-may ADDRESS");
    // The driver pins the process; may would pin its worker to a CPU of its own choice.
    may::config().set_workers(1).set_worker_pin(false);
    go!(move || serve(addr)).join().expect("the accepting coroutine panicked")
}
