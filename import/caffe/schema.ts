/*
 * The messages of Caffe's prototxt files, and of forks where a field of theirs is understood here: caffe.proto of BVLC/caffe 1.0, Dragon's `decay`.
 * A field is `name:type`, `*` where it is repeated. An enum lists its words in the order of their numbers, from 0 unless one says its own.
 */

export type FieldType =
  | { readonly kind: 'text' | 'int' | 'float' | 'bool' }
  | { readonly kind: 'enum'; readonly words: ReadonlyMap<number, string> }
  | { readonly kind: 'message'; readonly of: string }

export interface FieldSpec {
  readonly type: FieldType
  readonly repeated: boolean
}

const ENGINE = 'engine:DEFAULT|CAFFE|CUDNN'
const POOL = 'pool:MAX|AVE|STOCHASTIC'
const PHASE = 'TRAIN|TEST'
const WEIGHTS = 'num_output:int bias_term:bool weight_filler:FillerParameter bias_filler:FillerParameter'
const PICTURES = 'source:text scale:float mean_file:text batch_size:int crop_size:int mirror:bool'

/** Fields that layers have in both forms of today, V1 and the newest, each called after its message. */
const SHARED_PARAMS: Readonly<Record<string, string>> = {
  accuracy_param: 'AccuracyParameter',
  argmax_param: 'ArgMaxParameter',
  concat_param: 'ConcatParameter',
  contrastive_loss_param: 'ContrastiveLossParameter',
  convolution_param: 'ConvolutionParameter',
  data_param: 'DataParameter',
  dropout_param: 'DropoutParameter',
  dummy_data_param: 'DummyDataParameter',
  eltwise_param: 'EltwiseParameter',
  exp_param: 'ExpParameter',
  hdf5_data_param: 'HDF5DataParameter',
  hdf5_output_param: 'HDF5OutputParameter',
  hinge_loss_param: 'HingeLossParameter',
  image_data_param: 'ImageDataParameter',
  infogain_loss_param: 'InfogainLossParameter',
  inner_product_param: 'InnerProductParameter',
  lrn_param: 'LRNParameter',
  memory_data_param: 'MemoryDataParameter',
  mvn_param: 'MVNParameter',
  pooling_param: 'PoolingParameter',
  power_param: 'PowerParameter',
  relu_param: 'ReLUParameter',
  sigmoid_param: 'EngineParameter',
  softmax_param: 'SoftmaxParameter',
  slice_param: 'SliceParameter',
  tanh_param: 'EngineParameter',
  threshold_param: 'ThresholdParameter',
  window_data_param: 'WindowDataParameter',
  transform_param: 'TransformationParameter',
  loss_param: 'LossParameter',
}

const LAYER_PARAMS: Readonly<Record<string, string>> = {
  ...SHARED_PARAMS,
  batch_norm_param: 'BatchNormParameter',
  bn_param: 'BNParameter',
  bias_param: 'BiasParameter',
  clip_param: 'ClipParameter',
  crop_param: 'CropParameter',
  elu_param: 'ELUParameter',
  embed_param: 'EmbedParameter',
  flatten_param: 'FlattenParameter',
  input_param: 'ShapesParameter',
  interp_param: 'InterpParameter',
  log_param: 'ExpParameter',
  norm_param: 'NormalizeParameter',
  parameter_param: 'ParameterParameter',
  permute_param: 'PermuteParameter',
  prelu_param: 'PReLUParameter',
  python_param: 'PythonParameter',
  reduction_param: 'ReductionParameter',
  reshape_param: 'ReshapeParameter',
  scale_param: 'ScaleParameter',
  shuffle_channel_param: 'ShuffleChannelParameter',
  swish_param: 'SwishParameter',
  tile_param: 'TileParameter',
  upsample_param: 'UpsampleParameter',
}

const fieldsOf = (params: Readonly<Record<string, string>>): string => Object.entries(params).map(([name, of]) => `${name}:${of}`).join(' ')

const SOURCES: Readonly<Record<string, string>> = {
  BlobShape: 'dim:int*',
  FillerParameter: 'type:text value:float min:float max:float mean:float std:float sparse:int variance_norm:FAN_IN|FAN_OUT|AVERAGE',
  NetParameter: 'name:text input:text* input_shape:BlobShape* input_dim:int* force_backward:bool state:NetState debug_info:bool'
    + ' layer:LayerParameter* layers:V1LayerParameter*',
  SolverParameter: 'net:text net_param:NetParameter train_net:text test_net:text* train_net_param:NetParameter test_net_param:NetParameter*'
    + ' train_state:NetState test_state:NetState* test_iter:int* test_interval:int test_compute_loss:bool test_initialization:bool'
    + ' base_lr:float display:int average_loss:int max_iter:int iter_size:int lr_policy:text gamma:float power:float momentum:float'
    + ' weight_decay:float regularization_type:text stepsize:int stepvalue:int* clip_gradients:float snapshot:int snapshot_prefix:text'
    + ' snapshot_diff:bool snapshot_format:HDF5|BINARYPROTO solver_mode:CPU|GPU device_id:int random_seed:int type:text delta:float'
    + ' momentum2:float rms_decay:float debug_info:bool snapshot_after_train:bool'
    + ' solver_type:SGD|NESTEROV|ADAGRAD|RMSPROP|ADADELTA|ADAM layer_wise_reduce:bool weights:text* stage_lr:float* stage_iter:int*',
  NetState: `phase:${PHASE} level:int stage:text*`,
  NetStateRule: `phase:${PHASE} min_level:int max_level:int stage:text* not_stage:text*`,
  ParamSpec: 'name:text share_mode:STRICT|PERMISSIVE lr_mult:float decay_mult:float',
  LayerParameter: `name:text type:text bottom:text* top:text* phase:${PHASE} loss_weight:float* param:ParamSpec* propagate_down:bool*`
    + ` include:NetStateRule* exclude:NetStateRule* ${fieldsOf(LAYER_PARAMS)}`,
  TransformationParameter: 'scale:float mirror:bool crop_size:int mean_file:text mean_value:float* force_color:bool force_gray:bool',
  LossParameter: 'ignore_label:int normalization:FULL|VALID|BATCH_SIZE|NONE normalize:bool',
  AccuracyParameter: 'top_k:int axis:int ignore_label:int',
  ArgMaxParameter: 'out_max_val:bool top_k:int axis:int',
  ClipParameter: 'min:float max:float',
  ConcatParameter: 'axis:int concat_dim:int',
  BatchNormParameter: 'use_global_stats:bool moving_average_fraction:float eps:float decay:float',
  BNParameter: 'slope_filler:FillerParameter bias_filler:FillerParameter scale_filler:FillerParameter shift_filler:FillerParameter'
    + ` momentum:float eps:float frozen:bool bn_mode:LEARN|INFERENCE ${ENGINE}`,
  BiasParameter: 'axis:int num_axes:int filler:FillerParameter',
  ContrastiveLossParameter: 'margin:float legacy_version:bool',
  ConvolutionParameter: `${WEIGHTS} pad:int* kernel_size:int* stride:int* dilation:int* pad_h:int pad_w:int kernel_h:int kernel_w:int`
    + ` stride_h:int stride_w:int group:int ${ENGINE} axis:int force_nd_im2col:bool`,
  CropParameter: 'axis:int offset:int*',
  DataParameter: `${PICTURES} rand_skip:int backend:LEVELDB|LMDB force_encoded_color:bool prefetch:int`,
  DropoutParameter: 'dropout_ratio:float',
  DummyDataParameter: 'data_filler:FillerParameter* shape:BlobShape* num:int* channels:int* height:int* width:int*',
  EltwiseParameter: 'operation:PROD|SUM|MAX coeff:float* stable_prod_grad:bool',
  ELUParameter: 'alpha:float',
  EmbedParameter: `${WEIGHTS} input_dim:int`,
  ExpParameter: 'base:float scale:float shift:float',
  FlattenParameter: 'axis:int end_axis:int',
  HDF5DataParameter: 'source:text batch_size:int shuffle:bool',
  HDF5OutputParameter: 'file_name:text',
  HingeLossParameter: 'norm:L1=1|L2=2',
  ImageDataParameter: `${PICTURES} rand_skip:int shuffle:bool new_height:int new_width:int is_color:bool root_folder:text`,
  InfogainLossParameter: 'source:text axis:int',
  InterpParameter: 'height:int width:int zoom_factor:int shrink_factor:int pad_beg:int pad_end:int',
  InnerProductParameter: `${WEIGHTS} axis:int transpose:bool`,
  ShapesParameter: 'shape:BlobShape*',
  LRNParameter: `local_size:int alpha:float beta:float norm_region:ACROSS_CHANNELS|WITHIN_CHANNEL k:float ${ENGINE}`,
  MemoryDataParameter: 'batch_size:int channels:int height:int width:int',
  MVNParameter: 'normalize_variance:bool across_channels:bool eps:float',
  NormalizeParameter: 'across_spatial:bool scale_filler:FillerParameter channel_shared:bool eps:float',
  ParameterParameter: 'shape:BlobShape',
  PermuteParameter: 'order:int*',
  PoolingParameter: `${POOL} pad:int pad_h:int pad_w:int kernel_size:int kernel_h:int kernel_w:int stride:int stride_h:int stride_w:int`
    + ` ${ENGINE} global_pooling:bool round_mode:CEIL|FLOOR ceil_mode:bool`,
  PowerParameter: 'power:float scale:float shift:float',
  PReLUParameter: 'filler:FillerParameter channel_shared:bool',
  PythonParameter: 'module:text layer:text param_str:text share_in_parallel:bool',
  ReductionParameter: 'operation:SUM=1|ASUM=2|SUMSQ=3|MEAN=4 axis:int coeff:float',
  ReLUParameter: `negative_slope:float ${ENGINE}`,
  ReshapeParameter: 'shape:BlobShape axis:int num_axes:int',
  ScaleParameter: 'axis:int num_axes:int filler:FillerParameter bias_term:bool bias_filler:FillerParameter',
  EngineParameter: ENGINE,
  ShuffleChannelParameter: 'group:int',
  SliceParameter: 'axis:int slice_point:int* slice_dim:int',
  SoftmaxParameter: `${ENGINE} axis:int`,
  SwishParameter: 'beta:float',
  TileParameter: 'axis:int tiles:int',
  UpsampleParameter: 'scale:int scale_h:int scale_w:int pad_out_h:bool pad_out_w:bool upsample_h:int upsample_w:int',
  ThresholdParameter: 'threshold:float',
  WindowDataParameter: `${PICTURES} fg_threshold:float bg_threshold:float fg_fraction:float context_pad:int crop_mode:text`
    + ' cache_images:bool root_folder:text',
  V1LayerParameter: 'bottom:text* top:text* name:text include:NetStateRule* exclude:NetStateRule*'
    + ' type:NONE=0|ABSVAL=35|ACCURACY=1|ARGMAX=30|BNLL=2|CONCAT=3|CONTRASTIVE_LOSS=37|CONVOLUTION=4|DATA=5|DECONVOLUTION=39|DROPOUT=6'
    + '|DUMMY_DATA=32|EUCLIDEAN_LOSS=7|ELTWISE=25|EXP=38|FLATTEN=8|HDF5_DATA=9|HDF5_OUTPUT=10|HINGE_LOSS=28|IM2COL=11|IMAGE_DATA=12'
    + '|INFOGAIN_LOSS=13|INNER_PRODUCT=14|LRN=15|MEMORY_DATA=29|MULTINOMIAL_LOGISTIC_LOSS=16|MVN=34|POOLING=17|POWER=26|RELU=18'
    + '|SIGMOID=19|SIGMOID_CROSS_ENTROPY_LOSS=27|SILENCE=36|SOFTMAX=20|SOFTMAX_LOSS=21|SPLIT=22|SLICE=33|TANH=23|WINDOW_DATA=24|THRESHOLD=31'
    + ' param:text* blob_share_mode:STRICT|PERMISSIVE* blobs_lr:float* weight_decay:float* loss_weight:float* layer:V0LayerParameter'
    + ` ${fieldsOf(SHARED_PARAMS)}`,
  V0LayerParameter: 'name:text type:text num_output:int biasterm:bool weight_filler:FillerParameter bias_filler:FillerParameter pad:int'
    + ` kernelsize:int group:int stride:int ${POOL} dropout_ratio:float local_size:int alpha:float beta:float k:float source:text`
    + ' scale:float meanfile:text batchsize:int cropsize:int mirror:bool blobs_lr:float* weight_decay:float* rand_skip:int'
    + ' det_fg_threshold:float det_bg_threshold:float det_fg_fraction:float det_context_pad:int det_crop_mode:text new_num:int'
    + ' new_channels:int new_height:int new_width:int shuffle_images:bool concat_dim:int hdf5_output_param:HDF5OutputParameter',
}

function typeOf(text: string): FieldType {
  if (text === 'text' || text === 'int' || text === 'float' || text === 'bool') return { kind: text }
  if (text in SOURCES) return { kind: 'message', of: text }
  const words = text.split('|').map((word, i): [number, string] => {
    const [name, number] = word.split('=')
    return [number === undefined ? i : Number(number), name!]
  })
  return { kind: 'enum', words: new Map(words) }
}

function specOf(source: string): ReadonlyMap<string, FieldSpec> {
  return new Map(
    source.split(' ').map((field) => {
      const colon = field.indexOf(':')
      const repeated = field.endsWith('*')
      return [field.slice(0, colon), { type: typeOf(field.slice(colon + 1, repeated ? -1 : undefined)), repeated }]
    }),
  )
}

/** The fields of each message by name. */
export const SCHEMA: ReadonlyMap<string, ReadonlyMap<string, FieldSpec>> = new Map(
  Object.entries(SOURCES).map(([name, source]) => [name, specOf(source)]),
)
