// Signals for Swift, whose functions are not safe to call in a handler.
#pragma once

// From now on the first SIGINT or SIGTERM is only noted, and the second ends the process as it does by default. A
// signal that the process was started to ignore stays ignored.
void note_interrupts(void);

// From now on both signals end the process again, but for those that it was started to ignore.
void stop_noting_interrupts(void);

// The number of the signal that was noted; 0 where none was.
int noted_interrupt(void);
