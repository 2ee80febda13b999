// Signal handlers, written in C because Swift's functions are not safe to call in one.
#pragma once

// From now on, the first SIGINT or SIGTERM is only noted, and the second ends the process, as it does by default. A
// signal that was ignored when the process started stays ignored.
void note_interrupts(void);

// From now on, both signals end the process again, unless they were ignored when it started.
void stop_noting_interrupts(void);

// The number of the signal that was noted; 0 if none was.
int noted_interrupt(void);
