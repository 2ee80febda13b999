#include "last_message.h"

#include <string.h>

#include "recurrent.h"

enum { capacity = 4096 };

static _Thread_local char message[capacity];

void set_last_message(const char *text) {
  size_t count = strlen(text);
  if (count >= capacity) {
    // No character of several bytes is cut.
    count = capacity - 1;
    while (count > 0 && (text[count] & 0xC0) == 0x80) count--;
  }
  memcpy(message, text, count);
  message[count] = 0;
}

const char *recurrent_last_message(void) { return message; }

const char *recurrent_version(void) { return RECURRENT_VERSION; }
