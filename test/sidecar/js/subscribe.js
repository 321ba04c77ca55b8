// node subscribe.js SDK URL START: prints a line "id kind hash" for each block and each processed deploy that an SDK reports.
// SDK is 2 or 5; START is the number to start from, or -1.
const [sdk, url, start] = process.argv.slice(2)
const say = (id, kind, hash) => process.stdout.write(`${id} ${kind} ${hash}\n`)

if (sdk === '2') {
  const { EventStream, EventName } = require('casper-js-sdk')
  const stream = new EventStream(url)
  stream.subscribe(EventName.BlockAdded, (e) => say(e.id, 'BlockAdded', e.body.BlockAdded.block_hash))
  stream.subscribe(EventName.DeployProcessed, (e) => say(e.id, 'DeployProcessed', e.body.DeployProcessed.deploy_hash))
  stream.start(start === '-1' ? undefined : Number(start))
} else {
  const { SseClient, EventName } = require('casper-js-sdk-5')
  const client = new SseClient(url)
  const body = (e) => JSON.parse(e.data)
  client.subscribe(EventName.BlockAddedEventType, (e) => {
    e.parseAsBlockAddedEvent() // throws what the SDK cannot read
    say(e.lastEventId, 'BlockAdded', body(e).BlockAdded.block_hash)
  })
  client.subscribe(EventName.DeployProcessedEventType, (e) => say(e.lastEventId, 'DeployProcessed', body(e).DeployProcessed.deploy_hash))
  client.start(start === '-1' ? undefined : Number(start))
}
