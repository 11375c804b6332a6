// SPDX-License-Identifier: MIT
//! What the micro benchmarks share: samples in, one line of JSON a figure out, as weir-micro does.
//!
//!     micro-NAME [--runs N] [NAME...]
//!
//! A figure is measured in slices, the first of which warms up. With one run more a program does
//! one slice more and nothing else, so that its instructions can be counted by difference. Names
//! select the figures that begin with one of them. Exit status 2: usage; 3: no figure has such a
//! name.
use std::process::ExitCode;
use std::time::Instant;

pub const YIELDS: usize = 400_000;
pub const SPAWNS: usize = 100_000;
pub const BATCH: usize = 64;
pub const BATCHES: usize = SPAWNS / BATCH;
pub const ALARMS: usize = 100_000;

pub struct Micro {
    runs: usize,
    names: Vec<String>,
    reported: bool,
}

impl Micro {
    /// Ends the program if the arguments are wrong.
    pub fn from_args() -> Micro {
        let mut micro = Micro { runs: 41, names: Vec::new(), reported: false };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            if arg == "--runs" {
                let runs = args.next().and_then(|text| text.parse().ok());
                micro.runs = runs.filter(|&runs| runs > 0).unwrap_or_else(|| usage());
            } else if arg.starts_with('-') {
                usage();
            } else {
                micro.names.push(arg);
            }
        }
        micro
    }

    pub fn wanted(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// Nanoseconds of each of `operations`, which one call of `slice` does.
    pub fn measure(&mut self, name: &str, operations: usize, mut slice: impl FnMut()) {
        slice();
        let samples = (0..self.runs).map(|_| {
            let start = Instant::now();
            slice();
            start.elapsed().as_nanos() as f64 / operations as f64
        });
        let samples = samples.collect();
        self.report(name, "ns", operations, samples);
    }

    pub fn report(&mut self, name: &str, unit: &str, operations: usize, mut samples: Vec<f64>) {
        samples.sort_by(f64::total_cmp);
        let (best, median) = (samples[0], samples[samples.len() / 2]);
        println!(
            "{{\"name\": \"{name}\", \"unit\": \"{unit}\", \"best\": {best:.3}, \
             \"median\": {median:.3}, \"target\": 0, \"operations\": {operations}}}"
        );
        self.reported = true;
    }

    pub fn end(self) -> ExitCode {
        if self.reported {
            return ExitCode::SUCCESS;
        }
        eprintln!("micro: no figure has such a name");
        ExitCode::from(3)
    }
}

fn usage() -> ! {
    eprintln!("usage: micro-NAME [--runs N] [NAME...]");
    std::process::exit(2)
}

/// Resident bytes of this process.
pub fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
    kib * 1024.0
}

/// One to sixty seconds, by xorshift32 (Marsaglia 2003): cheaper than what is measured.
pub struct Draw(u32);

impl Default for Draw {
    fn default() -> Draw {
        Draw(1)
    }
}

impl Draw {
    pub fn seconds(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        1 + ((u64::from(self.0) * 60) >> 32)
    }
}
