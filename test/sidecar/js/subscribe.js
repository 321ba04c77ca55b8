// node subscribe.js SDK URL START [stay]: prints a line "id kind digest hash" for each event that an SDK reports. SDK is 2 or 5; START is
// the number to start from, or -1. The digest is of the data, the hash is what the SDK read out of it: "-" for kinds without one,
// "unreadable:…" if it could not.
//
// Both SDKs throw where a stream ends, which ends the process. With "stay" the application puts its own handler in the place of theirs,
// and the EventSource below comes back by itself with the last number that it saw.
const { createHash } = require('node:crypto')
const [sdk, url, start, stay] = process.argv.slice(2)

const say = (id, kind, data, read) => {
  let hash
  try {
    const parsed = read()
    if (parsed instanceof Error) throw parsed // SDK 5 returns some of its errors
    hash = parsed ?? '-'
  } catch (e) {
    hash = 'unreadable:' + String(e).replace(/\s+/g, '_')
  }
  process.stdout.write(`${id} ${kind} ${createHash('sha256').update(data).digest('hex').slice(0, 32)} ${hash}\n`)
}
const either = (hash) => (hash.deploy ?? hash.transactionV1).toHex()

// What each SDK reads of each kind.
const read2 = {
  BlockAdded: (b) => b.block_hash,
  DeployProcessed: (b) => b.deploy_hash,
  DeployAccepted: (b) => b.hash,
  FinalitySignature: (b) => b.block_hash,
  Fault: () => '-',
}
const whole = (parsed, pick) => (parsed instanceof Error ? parsed : pick(parsed))
const read5 = {
  BlockAdded: (e) => whole(e.parseAsBlockAddedEvent(), (p) => p.BlockAdded.blockHash),
  DeployProcessed: (e) => whole(e.parseAsDeployProcessedEvent(), (p) => p.deployProcessed.deployHash.toHex()),
  DeployAccepted: (e) => whole(e.parseAsDeployAcceptedEvent(), (p) => p.deployAccepted.hash.toHex()),
  DeployExpired: (e) => JSON.parse(e.data).DeployExpired.deploy_hash, // reported, but the SDK reads only those of transactions
  TransactionAccepted: (e) => {
    const { Version1 } = JSON.parse(e.data).TransactionAccepted
    if (Version1) return Version1.hash // the SDK hashes the transaction itself; a pretended node draws its hashes
    return whole(e.parseAsTransactionAcceptedEvent(), (p) => p.transactionAcceptedPayload.transaction.hash.toHex())
  },
  TransactionProcessed: (e) => whole(e.parseAsTransactionProcessedEvent(), (p) => either(p.transactionProcessedPayload.transactionHash)),
  TransactionExpired: (e) => whole(e.parseAsTransactionExpiredEvent(), (p) => either(p.transactionExpiredPayload.transactionHash)),
  FinalitySignature: (e) => whole(e.parseAsFinalitySignatureEvent(), (p) => p.finalitySignature.blockHash.toHex()),
  Fault: (e) => whole(e.parseAsFaultEvent(), () => '-'),
  Step: (e) => whole(e.parseAsStepEvent(), () => '-'),
}

let subscription
if (sdk === '2') {
  const { EventStream } = require('casper-js-sdk')
  subscription = new EventStream(url)
  for (const [kind, read] of Object.entries(read2)) {
    subscription.subscribe(kind, (e) => say(e.id, kind, JSON.stringify(e.body), () => read(e.body[kind])))
  }
} else {
  const { SseClient } = require('casper-js-sdk-5')
  subscription = new SseClient(url)
  for (const [kind, read] of Object.entries(read5)) {
    subscription.subscribe(kind, (e) => say(e.lastEventId, kind, e.data, () => read(e)))
  }
}
subscription.start(start === '-1' ? undefined : Number(start))
if (stay) {
  subscription.eventSource.onerror = () => {}
  subscription.eventSource.reconnectInterval = 100 // milliseconds
}
