import { Oracle } from './oracle.ts'
import { Random } from './random.ts'
import { requestCase } from './requests.ts'
import { answerCase } from './answers.ts'
import { judgeAll } from './batch.ts'
const o = await Oracle.start()
const t0=performance.now()
const N=Number(process.argv[2] ?? 2000), seed=Number(process.argv[3]??1)
let acc:Record<string,number>={}, tot:Record<string,number>={}
const by=new Map<string,number[]>()
for(let i=0;i<N;i+=64){
  const cs=Array.from({length:64},(_,k)=>{const r=new Random(seed,i+k); return r.once(3)?answerCase(r):requestCase(r)})
  const js=await judgeAll(cs,o)
  for(const [k,j] of js.entries()){ const h=j.one.hostile; tot[h]=(tot[h]??0)+1; if(j.isAccepted) acc[h]=(acc[h]??0)+1
   for(const w of j.wrong){ const key=h+': '+w; by.set(key,[...(by.get(key)??[]),i+k]) } }
}
const s=(performance.now()-t0)/1000
console.log(N/s,'cases/s',tot,acc)
for(const [k,v] of [...by].sort((a,b)=>b[1].length-a[1].length)) console.log(v.length,k,v.slice(0,4).join(' '))
await o.stop()
