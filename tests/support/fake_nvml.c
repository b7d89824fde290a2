/* Two GPUs as NVIDIA's management library would tell of them, for machines that have none.
 *
 * GPU 1 is of a kind that does not tell its power. While the file named by FAKE_NVML_LOST exists, GPU 0
 * is lost, and to ask it again after it has said so kills the process. With FAKE_NVML_BROKEN set there is
 * no driver. No header is included and nothing is linked, so that a compiler alone can build it.
 */
extern char *getenv(const char *name);
extern int access(const char *path, int mode);
extern void abort(void);

typedef struct { unsigned int gpu, memory; } utilization_t;
typedef struct { unsigned long long total, free, used; } memory_t;

enum { SUCCESS = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

static int gpus[2] = {0, 1};
static int has_told;

static int state(const int *gpu)
{
    const char *lost = getenv("FAKE_NVML_LOST");
    if (*gpu != 0 || !lost || access(lost, 0) != 0)
        return SUCCESS;
    if (has_told)
        abort();
    has_told = 1;
    return GPU_IS_LOST;
}

int nvmlInit_v2(void) { return getenv("FAKE_NVML_BROKEN") ? DRIVER_NOT_LOADED : SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **gpu) { *gpu = &gpus[index]; return SUCCESS; }

int nvmlDeviceGetUtilizationRates(const int *gpu, utilization_t *found)
{
    found->gpu = 90 + *gpu;
    found->memory = 40 + *gpu;
    return state(gpu);
}

int nvmlDeviceGetMemoryInfo(const int *gpu, memory_t *found)
{
    found->total = 80ull << 30;
    found->used = (20ull + *gpu) << 30;
    found->free = found->total - found->used;
    return state(gpu);
}

int nvmlDeviceGetTemperature(const int *gpu, unsigned int sensor, unsigned int *celsius)
{
    *celsius = 60 + *gpu + 100 * sensor;
    return state(gpu);
}

int nvmlDeviceGetPowerUsage(const int *gpu, unsigned int *milliwatts)
{
    *milliwatts = 350500;
    return *gpu == 1 ? NOT_SUPPORTED : state(gpu);
}
