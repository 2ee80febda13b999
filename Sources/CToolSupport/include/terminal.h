// ioctl for Swift, which cannot call a function with a variable number of arguments.
#pragma once

// The columns of the terminal that a descriptor refers to, 80 if it does not know them; 0 if it is not a terminal.
int terminal_columns(int descriptor);
