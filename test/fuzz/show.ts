import { Oracle } from './oracle.ts'
import { Random } from './random.ts'
import { requestCase } from './requests.ts'
import { answerCase } from './answers.ts'
import { judgeAll } from './batch.ts'
import { written } from './case.ts'
const o = await Oracle.start()
for (const n of process.argv.slice(2)) {
  const r=new Random(1,Number(n)); const c = r.once(3)?answerCase(r):requestCase(r)
  const [j]=await judgeAll([c],o)
  console.log(n, j!.wrong, written(c), JSON.stringify(j!.seen,null,1).replaceAll(/eyJ[\w.-]+/g,'TOK').slice(0,3000))
}
await o.stop()
