// What recurrent_last_message returns, for Swift, which has no variables of a thread.
#pragma once

// Keeps the start of a text for this thread.
void set_last_message(const char *text);
