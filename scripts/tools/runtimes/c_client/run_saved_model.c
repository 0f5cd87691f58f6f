/* Runs one request on an exported model through the TensorFlow C API, as a process without Python would.
 *
 *   run_saved_model FOLDER [--shape DxD.. TENSOR:IDX=INT,INT,..]... -- NAME=TENSOR:IDX...
 *
 * A --shape holds for the inputs after it. Inputs are int32, outputs float32. Prints a line for each output:
 *   NAME dim0xdim1x.. v0 v1 v2 ..
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tensorflow/c/c_api.h>

#define MAX_TENSORS 64
#define MAX_RANK 8

static void fail(const char *what, const char *detail) {
  fprintf(stderr, "run_saved_model: %s: %s\n", what, detail);
  exit(1);
}

static void check(TF_Status *status, const char *what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

/* "name:1" -> that output of that operation; cuts the text at the colon. */
static TF_Output find_tensor(TF_Graph *graph, char *text) {
  TF_Output output = {NULL, 0};
  char *colon = strrchr(text, ':');
  if (colon != NULL) {
    output.index = atoi(colon + 1);
    *colon = '\0';
  }
  output.oper = TF_GraphOperationByName(graph, text);
  if (output.oper == NULL) fail("no such operation", text);
  if (output.index < 0 || output.index >= TF_OperationNumOutputs(output.oper))
    fail("no such output of", text);
  return output;
}

/* "2x7" -> dims {2, 7}; returns the rank. */
static int parse_shape(const char *text, int64_t *dims) {
  int rank = 0;
  char *end;
  while (*text != '\0' && rank < MAX_RANK) {
    dims[rank++] = strtoll(text, &end, 10);
    if (end == text) fail("bad shape", text);
    text = *end == 'x' ? end + 1 : end;
  }
  return rank;
}

static TF_Tensor *parse_values(const char *text, const int64_t *dims, int rank) {
  int64_t count = 1, i;
  TF_Tensor *tensor;
  int32_t *data;
  char *end;
  for (i = 0; i < rank; i++) count *= dims[i];
  tensor = TF_AllocateTensor(TF_INT32, dims, rank, (size_t)count * sizeof(int32_t));
  if (tensor == NULL) fail("cannot allocate", "input tensor");
  data = TF_TensorData(tensor);
  for (i = 0; i < count; i++) {
    data[i] = (int32_t)strtol(text, &end, 10);
    if (end == text) fail("too few values", "input does not fill its shape");
    text = *end == ',' ? end + 1 : end;
  }
  if (*text != '\0') fail("too many values", text);
  return tensor;
}

static void print_tensor(const char *name, TF_Tensor *tensor) {
  int i, rank = TF_NumDims(tensor);
  int64_t k, count = TF_TensorElementCount(tensor);
  const float *data = TF_TensorData(tensor);
  if (TF_TensorType(tensor) != TF_FLOAT) fail("output is not float32", name);
  printf("%s ", name);
  for (i = 0; i < rank; i++) printf(i ? "x%lld" : "%lld", (long long)TF_Dim(tensor, i));
  if (rank == 0) printf("scalar");
  for (k = 0; k < count; k++) printf(" %.9g", data[k]);
  printf("\n");
}

int main(int argc, char **argv) {
  const char *tags[] = {"serve"};
  TF_Output inputs[MAX_TENSORS], outputs[MAX_TENSORS];
  TF_Tensor *values[MAX_TENSORS], *results[MAX_TENSORS] = {NULL};
  const char *names[MAX_TENSORS];
  int64_t dims[MAX_RANK];
  int i, rank = 0, n_inputs = 0, n_outputs = 0, after_dashes = 0;

  if (argc < 2) fail("usage", "FOLDER [--shape DxD TENSOR:IDX=INTS]... -- NAME=TENSOR:IDX...");
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status, "cannot load");

  for (i = 2; i < argc; i++) {
    if (strcmp(argv[i], "--") == 0) {
      after_dashes = 1;
      continue;
    }
    if (!after_dashes && strcmp(argv[i], "--shape") == 0) {
      if (++i == argc) fail("usage", "--shape needs a value");
      rank = parse_shape(argv[i], dims);
      continue;
    }
    char *equals = strchr(argv[i], '=');
    if (equals == NULL) fail("no '=' in", argv[i]);
    if (n_inputs == MAX_TENSORS || n_outputs == MAX_TENSORS) fail("too many tensors at", argv[i]);
    *equals = '\0';
    if (after_dashes) {
      names[n_outputs] = argv[i];
      outputs[n_outputs++] = find_tensor(graph, equals + 1);
    } else {
      inputs[n_inputs] = find_tensor(graph, argv[i]);
      values[n_inputs++] = parse_values(equals + 1, dims, rank);
    }
  }
  if (n_outputs == 0) fail("usage", "no outputs named after --");

  TF_SessionRun(session, NULL, inputs, values, n_inputs, outputs, results, n_outputs, NULL, 0, NULL, status);
  check(status, "cannot run");
  for (i = 0; i < n_outputs; i++) {
    print_tensor(names[i], results[i]);
    TF_DeleteTensor(results[i]);
  }
  for (i = 0; i < n_inputs; i++) TF_DeleteTensor(values[i]);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
