/* Times MPI's own sums of float32 numbers over all processes. Arguments: total bytes, repetitions, bytes of the pieces.
   Prints one line of JSON for each size of pieces: seconds of blocking calls one after the other, and of non-blocking calls begun
   together. A time is that of the slowest process. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double run(float *data, long total, long piece, int blocking, MPI_Request *requests, MPI_Status *statuses) {
  MPI_Barrier(MPI_COMM_WORLD);
  double begin = MPI_Wtime();
  int count = 0;
  for (long at = 0; at < total; at += piece) {
    int n = (int)(total - at < piece ? total - at : piece);
    if (blocking)
      MPI_Allreduce(MPI_IN_PLACE, data + at, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    else
      MPI_Iallreduce(MPI_IN_PLACE, data + at, n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &requests[count++]);
  }
  if (!blocking) MPI_Waitall(count, requests, statuses);
  double seconds = MPI_Wtime() - begin, slowest;
  MPI_Allreduce(&seconds, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return slowest;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  long total = atol(argv[1]) / 4;
  int repetitions = atoi(argv[2]);
  float *data = malloc(total * sizeof(float));
  double *times = malloc(repetitions * sizeof(double));
  for (long i = 0; i < total; i++) data[i] = 0;
  for (int a = 3; a < argc; a++) {
    long piece = atol(argv[a]) / 4;
    if (piece > total) piece = total;
    MPI_Request *requests = malloc((total / piece + 1) * sizeof(MPI_Request));
    MPI_Status *statuses = malloc((total / piece + 1) * sizeof(MPI_Status));
    double medians[2];
    for (int blocking = 0; blocking < 2; blocking++) {
      run(data, total, piece, blocking, requests, statuses);
      for (int i = 0; i < repetitions; i++) times[i] = run(data, total, piece, blocking, requests, statuses);
      qsort(times, repetitions, sizeof(double), compare);
      medians[blocking] = times[repetitions / 2];
    }
    if (rank == 0)
      printf("{\"pieceBytes\": %ld, \"nonBlocking\": %.9f, \"blocking\": %.9f}\n", piece * 4, medians[0], medians[1]);
    free(requests);
    free(statuses);
  }
  MPI_Finalize();
  return 0;
}
