// ioctl for Swift, which cannot call a function with a variable number of arguments.
#pragma once

// Columns of the terminal behind a descriptor, 80 where it does not know them; 0 where there is no terminal.
int terminal_columns(int descriptor);
