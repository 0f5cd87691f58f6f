"""Known operations that are not allowed, by what they could do.

This table only serves the reader: an operation is refused because the allowlist does not have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from surgery.scanning.operations import table

FILES = "touches files"
NETWORK = "uses the network"
PROCESSES = "runs other code"
DEVICES = "drives devices"
PRINTS = "prints"
OTHER = "does more than compute"
UNKNOWN = "unknown"

COULD: Mapping[str, str] = MappingProxyType(
    {
        FILES: "it can read, list or write files of this machine",
        NETWORK: "it can talk to other processes and machines",
        PROCESSES: "it can run code that is not in the graph, or end the process",
        DEVICES: "it can drive devices, or run a compiled program that cannot be read here",
        PRINTS: "it can write to the terminal, or to a file",
        OTHER: "it can keep or share state outside the module's variables, wait, or run a graph from bytes",
        UNKNOWN: "surgery does not know it: it could do anything",
    }
)
"""What an operation of each group that is not allowed could do."""

REFUSED = table(
    {
        FILES: """
        CSVDataset CSVDatasetV2 CacheDataset CacheDatasetV2 CalibrationStatisticsSaver CloseSummaryWriter
        CreateSummaryDbWriter CreateSummaryFileWriter DTensorRestoreV2 DatasetToTFRecord DebugIdentity
        DebugIdentityV2 DebugIdentityV3 DebugNanCount DebugNumericSummary DebugNumericSummaryV2 DistributedSave
        DumpTensor ExperimentalCSVDataset ExperimentalDatasetToTFRecord ExperimentalLMDBDataset
        ExperimentalMatchingFilesDataset ExperimentalSqlDataset FileSystemSetConfiguration
        FixedLengthRecordDataset FixedLengthRecordDatasetV2 FixedLengthRecordReader FixedLengthRecordReaderV2
        FixedUnigramCandidateSampler FlushSummaryWriter GenerateVocabRemapping ImmutableConst ImportEvent
        LMDBDataset LMDBReader ListSnapshotChunksDataset LoadAndRemapMatrix LoadDataset MatchingFiles
        MatchingFilesDataset ReadFile ReaderRead ReaderReadUpTo ReaderReadUpToV2 ReaderReadV2 RecordInput
        SaveDataset SaveDatasetV2 Skipgram SnapshotChunkDataset SnapshotDataset SnapshotDatasetReader
        SnapshotDatasetV2 SnapshotNestedDatasetReader SqlDataset StatsAggregatorSetSummaryWriter SummaryWriter
        TFRecordDataset TFRecordDatasetV2 TFRecordReader TFRecordReaderV2 TextLineDataset TextLineReader
        TextLineReaderV2 WholeFileReader WholeFileReaderV2 WriteAudioSummary WriteFile WriteGraphSummary
        WriteHistogramSummary WriteImageSummary WriteRawProtoSummary WriteScalarSummary WriteSummary
        """,
        NETWORK: """
        CollectiveAllToAllV2 CollectiveAllToAllV3 CollectiveBcastRecv CollectiveBcastRecvV2 CollectiveBcastSend
        CollectiveBcastSendV2 CollectiveGather CollectiveGatherV2 CollectiveInitializeCommunicator
        CollectivePermute CollectiveReduce CollectiveReduceScatterV2 CollectiveReduceV2 CollectiveReduceV3
        DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 Recv RegisterDataset
        RegisterDatasetV2 RemoteCall RpcCall RpcCheckStatus RpcClient RpcGetValue RpcServer RpcServerRegister
        RpcServerStart Send WorkerHeartbeat _HostRecv _HostSend _Recv _Send
        """,
        PROCESSES: """
        Abort EagerPyFunc GeneratorDataset PyFunc PyFuncStateless
        """,
        DEVICES: """
        AnonymousMultiDeviceIterator AnonymousMultiDeviceIteratorV3 ConfigureAndInitializeGlobalTPU
        ConfigureDistributedTPU ConfigureTPUEmbedding ConfigureTPUEmbeddingHost ConfigureTPUEmbeddingMemory Copy
        CopyHost DynamicEnqueueTPUEmbeddingArbitraryTensorBatch DynamicEnqueueTPUEmbeddingRaggedTensorBatch
        EnqueueTPUEmbeddingArbitraryTensorBatch EnqueueTPUEmbeddingBatch EnqueueTPUEmbeddingIntegerBatch
        EnqueueTPUEmbeddingRaggedTensorBatch EnqueueTPUEmbeddingSparseBatch EnqueueTPUEmbeddingSparseTensorBatch
        InfeedDequeue InfeedDequeueTuple InfeedEnqueue InfeedEnqueuePrelinearizedBuffer InfeedEnqueueTuple
        MultiDeviceIterator MultiDeviceIteratorFromStringHandle MultiDeviceIteratorGetNextFromShard
        MultiDeviceIteratorInit MultiDeviceIteratorToStringHandle NcclAllReduce NcclBroadcast NcclReduce
        OutfeedDequeue OutfeedDequeueTuple OutfeedDequeueTupleV2 OutfeedDequeueV2 OutfeedEnqueue
        OutfeedEnqueueTuple ShutdownDistributedTPU ShutdownTPUSystem SyncDevice
        TPUAnnotateTensorsWithDynamicShape TPUCompilationResult TPUCompile TPUCompileSucceededAssert
        TPUCopyWithDynamicShape TPUDummyInput TPUEmbeddingActivations TPUExecute TPUExecuteAndUpdateVariables
        TPUOrdinalSelector TPUPartitionedCall TPUPartitionedInput TPUPartitionedInputV2 TPUPartitionedOutput
        TPUPartitionedOutputV2 TPUReplicateMetadata TPUReplicatedInput TPUReplicatedOutput TPUReshardVariables
        TPURoundRobin TpuHandleToProtoKey XlaCallModule XlaCustomCall XlaCustomCallV2 XlaHostCompute XlaLaunch
        XlaLaunchV2 XlaRecv XlaRecvFromHost XlaRecvTPUEmbeddingActivations XlaRecvTPUEmbeddingActivationsV2
        XlaRecvTPUEmbeddingDeduplicationData XlaRecvTPUEmbeddingDeduplicationDataV2 XlaSend
        XlaSendTPUEmbeddingGradients XlaSendTPUEmbeddingGradientsV2 XlaSendToHost _TPUCompileMlir _TPUReplicate
        _XlaCompile _XlaCompileMlirPlaceholderProgramKey _XlaHostComputeMlir _XlaRecvAtHost _XlaRecvAtHostV2
        _XlaRun _XlaSendFromHost _XlaSendFromHostV2
        """,
        PRINTS: """
        Print PrintV2
        """,
        OTHER: """
        AddManySparseToTensorsMap AddSparseToTensorsMap Barrier BarrierClose BarrierIncompleteSize
        BarrierInsertMany BarrierReadySize BarrierTakeMany BatchFunction ConditionalAccumulator DatasetFromGraph
        DecodeProtoV2 DeleteSessionTensor EncodeProto FIFOQueue FIFOQueueV2 GetSessionHandle GetSessionHandleV2
        GetSessionTensor Iterator IteratorFromStringHandle IteratorFromStringHandleV2 IteratorV2 MapPeek
        MapStage MapUnstage MlirPassthroughOp MutexLock MutexV2 OneShotIterator OrderedMapStage
        OrderedMapUnstage PaddingFIFOQueue PaddingFIFOQueueV2 ParseTensor PriorityQueue PriorityQueueV2
        PrivateThreadPoolDataset QueueDequeueManyV2 QueueDequeueV2 QueueEnqueueManyV2 QueueEnqueueV2
        RandomShuffleQueue RandomShuffleQueueV2 SleepDataset SleepOp Stack StackClose StackCloseV2 StackPop
        StackPopV2 StackPush StackPushV2 StackV2 Stage StagePeek TakeManySparseFromTensorsMap ThreadPoolDataset
        ThreadPoolHandle Timestamp Unstage
        """,
    }
)
"""The group of each operation that is known and not allowed."""
