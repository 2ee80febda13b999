// Tests files: what is saved is loaded again, and a broken file is refused.
#include "expect.h"

static const char *write_file(const char *folder, const char *header, uint64_t claimed, size_t content) {
  static char path[5000];
  snprintf(path, sizeof path, "%s/bad.safetensors", folder);
  FILE *file = fopen(path, "wb");
  fwrite(&claimed, sizeof claimed, 1, file);
  fputs(header, file);
  for (size_t i = 0; i < content; i++) fputc(0, file);
  fclose(file);
  return path;
}

void files_are_checked(const char *folder) {
  recurrent_layer_options options = {
      .size = sizeof options, .input_size = 1, .hidden_size = 1, .layer_count = 1, .no_bias = 1, .seed = 3};
  recurrent_layer *layer = make_layer(options), *loaded = NULL;
  options.seed = 4;
  loaded = make_layer(options);
  char path[5000];
  snprintf(path, sizeof path, "%s/good.safetensors", folder);
  scalar before[2], after[2];
  EXPECT_OK(recurrent_layer_get_values(layer, before, 2));
  EXPECT_OK(recurrent_layer_save(layer, path, "encoder."));
  EXPECT_OK(recurrent_layer_load(loaded, path, "encoder."));
  EXPECT_OK(recurrent_layer_get_values(loaded, after, 2));
  EXPECT(memcmp(before, after, sizeof before) == 0);
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "has no tensor 'weight_ih_l0'; it has: encoder.weight_hh_l0",
               recurrent_layer_load(loaded, path, NULL));
  EXPECT_EXACTLY("path is null, expected a text", recurrent_layer_load(loaded, NULL, ""));
  EXPECT_INVALID("path is null", recurrent_layer_save(loaded, NULL, ""));
  EXPECT_INVALID("layer is null", recurrent_layer_load(NULL, path, ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be read: No such file or directory",
               recurrent_layer_load(loaded, "/nowhere/at.all", ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be read: the path is empty", recurrent_layer_load(loaded, "", ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be read: Is a directory", recurrent_layer_load(loaded, folder, ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be written: No such file or directory",
               recurrent_layer_save(loaded, "/nowhere/at.all", ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "cannot be written: the path is empty", recurrent_layer_save(loaded, "", ""));

  // The file is cut at every possible length.
  FILE *file = fopen(path, "rb");
  char bytes[4096];
  const size_t count = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  snprintf(path, sizeof path, "%s/cut.safetensors", folder);
  for (size_t length = 0; length < count; length++) {
    file = fopen(path, "wb");
    fwrite(bytes, 1, length, file);
    fclose(file);
    EXPECT_ERROR(RECURRENT_FILE_ERROR, length < 8 ? "bytes" : "truncated",
                 recurrent_layer_load(loaded, path, "encoder."));
  }

  const char *ih =
      "{\"weight_ih_l0\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s},"
      "\"weight_hh_l0\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":%s}}";
  struct {
    const char *type, *shape, *first, *second;
    size_t content;
    const char *text;
  } files[] = {
      {"F32", "[1,1]", "[0,4]", "[4,8]", 8, NULL},
      {"F32", "[1,1]", "[0,4]", "[0,4]", 8, "overlap"},
      {"F32", "[1,1]", "[0,4]", "[2,6]", 8, "overlap"},
      {"F32", "[1,1]", "[0,4]", "[8,12]", 12, "holes"},
      {"F32", "[1,1]", "[4,8]", "[8,12]", 12, "holes"},
      {"F32", "[1,1]", "[0,4]", "[4,8]", 12, "bytes that belong to no tensor"},
      {"F32", "[1,1]", "[0,4]", "[4,8]", 7, "truncated"},
      {"F32", "[1,1]", "[0,4]", "[-4,0]", 8, "data_offsets"},
      {"F32", "[1,1]", "[0,4]", "[8,4]", 8, "data_offsets"},
      {"F32", "[1,1]", "[0]", "[4,8]", 8, "data_offsets"},
      {"F32", "[1,1]", "[0,18446744073709551616]", "[4,8]", 8, "header"},
      {"F32", "[1,1]", "[0,9223372036854775807]", "[4,8]", 8, "asks for 4"},
      {"F32", "[-1,-1]", "[0,4]", "[4,8]", 8, "has the number -1, expected plain digits"},
      {"F32", "[4294967296,4294967296]", "[0,4]", "[4,8]", 8, "impossible shape"},
      {"F32", "[1,2]", "[0,4]", "[4,8]", 8, "asks for 8"},
      {"F32", "[1]", "[0,4]", "[4,8]", 8, "has the shape [1], expected [1, 1]"},
      {"I32", "[1,1]", "[0,4]", "[4,8]", 8, "is of type I32, expected floats"},
      {"BOOL", "[1,1]", "[0,1]", "[1,5]", 5, "is of type BOOL, expected floats"},
      {"F33", "[1,1]", "[0,4]", "[4,8]", 8, "unknown type 'F33'"},
      {"F16", "[1,1]", "[0,2]", "[2,6]", 6, NULL},
      {"F64", "[1,1]", "[0,8]", "[8,12]", 12, NULL},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char header[1024];
    snprintf(header, sizeof header, ih, files[i].type, files[i].shape, files[i].first, files[i].second);
    const char *bad = write_file(folder, header, strlen(header), files[i].content);
    if (files[i].text)
      EXPECT_ERROR(RECURRENT_FILE_ERROR, files[i].text, recurrent_layer_load(loaded, bad, NULL));
    else
      EXPECT_OK(recurrent_layer_load(layer, bad, NULL));
  }
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "claim a header of 100000001 bytes, expected at most 100000000",
               recurrent_layer_load(loaded, write_file(folder, "{}", 100000001, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "claim a header of 18446744073709551615 bytes",
               recurrent_layer_load(loaded, write_file(folder, "{}", UINT64_MAX, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "does not start with '{'",
               recurrent_layer_load(loaded, write_file(folder, "[]", 2, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "does not start with '{'",
               recurrent_layer_load(loaded, write_file(folder, "", 0, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "header is not what",
               recurrent_layer_load(loaded, write_file(folder, "{\"a\"", 4, 0), ""));
  EXPECT_ERROR(RECURRENT_FILE_ERROR, "header is not what",
               recurrent_layer_load(loaded, write_file(folder, "{\"a\":1}", 7, 0), ""));
  // A load that failed has changed nothing.
  EXPECT_OK(recurrent_layer_get_values(loaded, after, 2));
  EXPECT(memcmp(before, after, sizeof before) == 0);
  EXPECT_OK(recurrent_layer_destroy(layer));
  EXPECT_OK(recurrent_layer_destroy(loaded));
}
