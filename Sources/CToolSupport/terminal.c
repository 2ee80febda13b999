#define _GNU_SOURCE
#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

int terminal_columns(int descriptor) {
  if (!isatty(descriptor)) return 0;
  struct winsize size = {0};
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
