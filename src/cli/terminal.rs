//! What only the operating system knows about standard output.

use crate::cli::failure::{Exit, Failure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::stdout;
use std::time::Duration;

/// How many characters fit a line, where standard output is a terminal that says so.
pub(crate) fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stdout()).ok()?;
    (size.ws_col != 0).then(|| usize::from(size.ws_col))
}

/// Waits, and says whether whoever reads standard output has gone meanwhile: with nothing to write, nothing else tells.
pub(crate) fn reader_is_gone_after(pause: Duration) -> Result<bool, Failure> {
    let stdout = stdout();
    let mut outputs = [PollFd::new(&stdout, PollFlags::empty())];
    let pause = Timespec::try_from(pause).expect("a short time");
    match poll(&mut outputs, Some(&pause)) {
        Ok(_) => Ok(outputs[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL)),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(Failure::new(Exit::Other, format!("waiting for events: {error}"))),
    }
}
