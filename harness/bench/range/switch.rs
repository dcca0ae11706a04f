/// Switches of the planted bugs, and their counts.
#[doc(hidden)]
pub mod range {
    use core::ffi::{c_int, c_void};
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::fs::OpenOptions;
    use std::os::fd::AsRawFd;
    use std::sync::OnceLock;

    /// Numbers go from 1 to 63.
    const NUMBERS: usize = 64;

    type Counts = [[AtomicU64; 2]; NUMBERS];

    struct Switches {
        on: u64,
        counts: Option<&'static Counts>,
    }

    extern "C" {
        fn mmap(at: *mut c_void, length: usize, may: c_int, kind: c_int, file: c_int, from: i64) -> *mut c_void;
    }

    fn switches() -> &'static Switches {
        static SWITCHES: OnceLock<Switches> = OnceLock::new();
        SWITCHES.get_or_init(|| Switches { on: asked(), counts: counts() })
    }

    /// The bits of HARNESS_RANGE: "all", or numbers with commas between them.
    fn asked() -> u64 {
        match std::env::var("HARNESS_RANGE").unwrap_or_default().as_str() {
            "all" => u64::MAX,
            words => words
                .split(',')
                .filter_map(|word| word.trim().parse::<usize>().ok())
                .filter(|&number| number < NUMBERS)
                .fold(0, |bits, number| bits | 1 << number),
        }
    }

    /// The file that HARNESS_RANGE_COUNTS names, in shared memory. Children of this process count in it, too.
    fn counts() -> Option<&'static Counts> {
        let path = std::env::var_os("HARNESS_RANGE_COUNTS").filter(|path| !path.is_empty())?;
        let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        let size = size_of::<Counts>();
        if file.metadata().ok()?.len() < size as u64 {
            return None;
        }
        // SAFETY: a new mapping of a file that is long enough. It is never unmapped, and all access is atomic.
        let at = unsafe { mmap(core::ptr::null_mut(), size, 3, 1, file.as_raw_fd(), 0) };
        if at as isize == -1 {
            return None;
        }
        // SAFETY: as above; the mapping is aligned to a page.
        Some(unsafe { &*(at as *const Counts) })
    }

    /// Whether this bug acts now. Counts that it was reached, and, with the ``condition`` in which it matters, triggered.
    pub fn on(number: usize, condition: bool) -> bool {
        let switches = switches();
        if let Some(counts) = switches.counts {
            counts[number][0].fetch_add(1, Relaxed);
            counts[number][1].fetch_add(u64::from(condition), Relaxed);
        }
        condition && switched(number)
    }

    /// Whether this bug is switched on. Counts nothing.
    pub fn switched(number: usize) -> bool {
        switches().on >> number & 1 == 1
    }
}

