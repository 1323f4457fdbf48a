"""Words and forms that the texts of chat calls are likely to hold, for compressors.

A short text has not had the time to repeat much: it compresses better after this one. What was written with it names it
by its checksum and cannot be read without it, so it never changes; other words would be a second one beside it.
"""

_WORDS = """
ability absolutely abstract academic accept acceptable accepted access accident accommodate accompany accomplish
according accordingly account accounts accurate achieve acknowledge acquire across action actions active activity
actual actually adapt addition additional additionally address addresses adequate adjust adjusted adjustment
administration administrator adopt advance advanced advantage advertising advice afford afternoon afterwards against
agencies agency agent agents aggregate agreement airport algorithm allocate allowed allowing allows almost alongside
already alternative alternatively although altogether always amazing ambiguous amount amounts analysis analyze
analyzed ancient announce annual another answers anticipate anymore anything anyway anywhere apartment apologize
apparently appear appearance appears applicable application applied apply applying appointment appreciate approach
approaches appropriate approval approve approximately architecture argument around arrange arrangement array arrived
article articles artificial aspect aspects assessment assets assign assigned assignment assist assistance associated
association assume assuming assumption attachment attack attempt attempts attention attitude attribute audience author
authentication authority authorization automated automatic automatically available average avoid awareness background
backup balance balanced barriers based baseline basic basically basics battery beautiful became because become becomes
becoming before beginning behavior behaviour behind belief believe belong below beneath benefit benefits besides
better between beyond billing billion binary birthday blocks blood board border boundary branch breakdown breakfast
breathing bridge brief briefly bright bring brings broader broken brother brought browser budget buffer build building
builds built bullet business businesses button buttons calculate calculating calculation calendar called calling calls
cancel cancelled cannot capability capable capacity capital capture captured career careful carefully carried carry
category caught cause caused causes caution celebrate center central century certain certainly certificate chain
challenge challenging chance change changed changes changing channel channels chapter character characteristics charge
charged charges charts cheaper check checked checking checks chemical chicken child children choice choices choose
choosing chosen circle circumstances citizens claim claims class classes classic classical classification classify
cleaning clear clearer clearly click client clients climate close closed closely closer clothes cloud cluster coast
coffee collaboration collaborative collect collected collection college color colors column columns combination
combine combined combining comes comfort comfortable coming command commands comment comments commercial commit
commitment committed committee common commonly communicate communication community company comparable compare compared
comparing comparison compatible compelling competition competitive compile complaint complete completely completing
completion complex complexity compliance complicated component composition comprehensive compute computer computing
concentration concept concepts concern concerned concerns concise conclude conclusion concrete condition conduct
conducted conference confidence confident confidential configuration configure confirm confirmation confirmed conflict
confused confusing confusion connect connected connecting connection conscious consequences consider considerable
consideration considered considering consist consistency consistent consistently consists constant constraint
construct construction consult consultation consumer consumption contact contain contained container containing
contains contemporary content contents context contexts continue continuing continuous continuously contract contrast
contribute contribution control controlled controls convenient conventional conversation conversion convert converted
converting cooking coordinate correct corrected correction correctly correlation correspond corresponding counter
country couple courage course courses court cover coverage covered covering covers create created creates creating
creation creative creativity credentials credit crisis criteria critical criticism crucial culture cultural cultures
curious currency current currently curriculum custom customer customize cutting cycle cycles daily damage danger
dangerous dashboard database dataset datasets debate debug debugging decade decades decide decided decimal decision
declare decline decrease dedicated deeper deeply default define defined defines defining definitely definition degree
degrees delete deleted deletion delicious deliver delivered delivery demand demands demonstrate dense density
department depend dependency dependent depending depends deploy deployed deployment depth derived describe describing
description design designed designing designs desired despite destination detail detailed details detect detected
detection determine determining develop developed developer developing development device devices diagnosis diagnostic
diagram dialogue dictionary difference different differently difficult difficulty digital dimension dinner direct
directed direction directly director directory disabled disadvantages disappear discount discover discovered discovery
discuss discussed discussing discussion disease disk display displayed displays distance distinct distinction
distinguish distribute distribution district diverse diversity divide divided division document documentation
documented doesn't domain domains dominant double doubt download downtown dozen draft drama dramatic dramatically
drawing dreams driven driver drivers driving duplicate duration during dynamic earlier early earnings earth easier
easily eastern economic economy edition editor education educational effect effective effectively effectiveness
effects efficiency efficient efficiently effort efforts either elaborate elderly election electric electrical
electricity electronic element elements eligible eliminate elsewhere embedded embedding embrace emergency emerging
emissions emotion emotional emotions emphasis emphasize empirical employee employer employment empty enable enabled
enables enabling encounter encountered encourage encouraging endpoint energy engage engagement engaging engine
engineer engineering English enhance enhanced enhances enhancing enjoy enjoyable enjoyed enormous enough ensure
ensures ensuring enter entered enterprise entertainment entire entirely entities entity entrance entries entry
environment environmental equal equally equation equipment equivalent error errors especially essay essential
essentially establish established estimate evaluate evaluating evaluation evening event events eventually everyday
everyone everything everywhere evidence evident evolution evolve evolved exact exactly examination examine examined
example examples exceed excellent except exception exchange excited exciting exclude excluded exclusive execute
executed executing execution executive exercise exist existence existing exists expand expanded expanding expansion
expect expectation expected expense expenses expensive experience experiment experimental expert expertise experts
explain explained explaining explains explanation explicit explicitly exploration explore explored exploring export
exposed exposure express expressed expression extend extended extending extends extension extensive extent external
extra extract extracted extracting extraction extraordinary extreme extremely facilitate facility facing factor
factors failed failing fails failure failures fairly faithful fallback false familiar families family famous fantastic
farther fascinating fashion faster father favorite favourite feature features federal feedback feeling feelings field
fields figure figures filename files filled filter filtered filtering filters final finally finance financial finding
findings finish finished first fitness fixed flagged flavor flexibility flexible flight flights float floating floor
flower flowers fluid focus focused focuses focusing folder follow followed following follows force forced forces
forecast foreign forest forever forget formal format formats formatted formatting formed former formula forward foster
foundation foundational fraction fragment frame framework freedom freely frequency frequent frequently fresh friend
friendly friends front fruit fulfill function functional functionality functioning fundamental fundamentally funding
funds further furthermore future gallery garden gather gathered general generally generate generating generation
generative generic generous gentle genuine geographic geometry getting giving glass global globally goals going golden
government gradient gradually grammar grand graph graphics graphs great greater greatest greatly green ground group
groups growing grown growth guarantee guest guests guidance guide guided guidelines guides habits handle handled
handles handling happen happened happening happens happiness happy harder hardware harmful harmony having header
headers headline healing health healthcare healthy hearing heart heavily heavy height helped helpful helping helps
heritage hesitate hidden hierarchical hierarchy higher highest highlight highlighted highlighting highly highway
historic historical history holding holiday honest honestly horizontal hospital hotel hotels hours household housing
however huge human humanity humans hundred hundreds hybrid hypothesis ideal ideally ideas identical identification
identified identifier identify identifying identity ignore ignored illness illustrate image images imagination imagine
immediate immediately impact impacts implement implementation implemented implementing implications implicit imply
import importance important importantly imported imports impossible impressive improve improved improvement improves
improving inaccurate include included includes including inclusive income incoming incomplete incorporate incorrect
increase increasing increasingly incredible incredibly indeed independence independent independently index indexes
indicate indicating indicator individual industrial industry inefficient inference infinite inflation influence
influential inform information informed infrastructure ingredients initial initialize initially initiative injection
injury inner innovation innovative input inputs inquiries insert inserted inside insight insights inspect inspiration
inspired install installation installed installing instance instant instantly instead institution institutional
instruction instrument insurance integer integers integrate integrating integration integrity intellectual
intelligence intelligent intended intense intensity intent intention interact interacting interaction interactive
interest interested interesting interface interference intermediate internal international internet interpret
interpretation interpreted interval intervention interview introduce introducing introduction intuition intuitive
invalid invent inventory invest investigate investigation investment investors invite invoice involve involved
involvement involves involving island isolated issue issued issues items iteration iterative itself jacket journal
journey judgment jumps justice justify keeping keyboard keyword keywords kitchen knowledge known label labeled labels
labor laboratory lambda landmarks landscape language laptop large largely larger largest latency later latest latter
launch launched launching layer layers leader leaders leadership leading league learn learned learning least leave
leaves leaving lecture legacy legal legislation length lessons letter letters level levels leverage leveraging
liability library license lifecycle lifestyle lifetime light lightweight likelihood likely limit limitation limited
limiting limits linear lines linked links liquid listed listen listening lists literally literary literature little
living loaded loading loads local locally located location logic logical logically login logistics longer looking
lookup loops loved lower lowest lunch machine machines magic magical magnetic main mainly maintain maintained
maintaining maintenance major majority makes making managed management manager managers manages managing manner manual
manually manufacturer manufacturing mapping market marketing markets massive master match matched matches matching
material mathematical mathematics matrix matter matters maximize maximum maybe meals meaning meaningful means meant
meanwhile measure measured measurement measures measuring mechanical mechanism media medical medication medicine
medieval medium meeting meetings member members membership memorable memory mental mention mentioned mentions merchant
merge merged message messages messaging metadata metal method methodology methods metric metrics middle middleware
might migration military million millions minimal minimize minimum minor minute minutes mirror missing mission mistake
mistakes mitigate mixed mixture mobile modeling models modern moderate modest modification modified modify module
modules moment moments monetary money monitor monitored monitoring month monthly months moral moreover morning mostly
mother motion motivation mountain mouse movement movie movies moving multimodal multiple multiplication multiply
museum museums music musical mutual myself mysterious namespace naming narrative narrow nation national nations native
natural naturally nature nearby nearest nearly necessarily necessary necessity needed needs negative neighborhood
neighbors neither nested network networking networks neural neutral never nevertheless newer newest newsletter nobody
nodes noise normal normally northern notable notably notation notebook noted notes nothing notice noticed notification
novel nowadays nuclear null number numbered numbers numeric numerical numerous nutrition object objective objects
obligations observation observe observed obstacles obtain obtained obvious obviously occasion occasional occasionally
occupation occur occurred occurring occurs ocean offer offered offering offers office officer officers official
officially offline often older ongoing online opening openly operate operated operates operating operation operational
operator opinion opinions opportunity opposed opposite optimal optimization optimize optimizing option optional
options orange order ordered ordering orders ordinary organic organization organizational organize oriented origin
original originally others otherwise ought ourselves outcome outcomes outdoor outline outlined output outputs outside
outstanding overall overcome overhead overlap overly overview owned owner owners ownership package packages packaging
pages painting paired pairs panel paper papers paragraph parallel parameter parent parents parking parse parsed parser
parsing partial partially participants participate particular particularly parties partition partner partners
partnership parts party passage passed passenger passes passing passion passive password paste patch paths patience
patient patients pattern patterns pause payload payment payments peaceful penalty pending people perceived percent
percentage perception perfect perfectly perform performance performed performing performs perhaps period periods
permanent permission permit persist persistent person personal personality personalized personally personnel
perspective phase phases phenomenon philosophical philosophy phone photo photography photos phrase phrases physical
physically physics pick picked picture pictures pieces pipeline pixel placed placeholder places placing plain planet
planned planning plans plant plants plastic platform player players playing please pleasure plenty plugin pockets
poetry pointed pointer points policies policy political politics pollution popular popularity population portfolio
portion position positioned positive possess possibility possible possibly posted posts potential potentially power
powered powerful practical practice precise precisely precision predict predictable predicted prediction prefer
preferably preference preferred preliminary preparation prepare prepared preparing presence present presentation
presented presents preserve preserving president press pressure pretty prevent preventing prevention prevents previous
previously price prices pricing primarily primary prime primitive principal principle print printed printing prints
prior prioritize priority privacy private privilege probability probably problem problems procedure proceed process
processed processes processing processor produce produced produces producing product production productive
productivity products profession professional profile profiles profit profitable profound program programming programs
progress progressive project projection projects prominent promise promising promote promoting prompt prompts proof
proper properly property proportion proposal propose proposed prospective protect protected protecting protection
protein protocol prototype prove proved proven provide provided provider provides providing proxy psychological
psychology public publication publicly publish published publisher publishing pull purchase purchasing purely purpose
purposes pursue pushed putting python qualified quality quantity quantum quarter queries query question queue quick
quickly quiet quite quotation quote quoted quotes radiation random randomly range ranges ranging ranked ranking rapid
rapidly rarely rates rather rating ratings ratio rational reach reached reaches reaching react reaction readable
reader readers readily reading ready realistic reality realize realized really reason reasonable reasonably reasoning
reasons rebuild recall receive received receives receiving recent recently recipe recipes recipient recognition
recognize recommend recommendation recommended record recorded recording records recover recovery recursion recursive
reduce reduced reduces reducing reduction redundant refer reference referred refers refine refined reflect reflected
reflecting reflection reflects reform refresh refund refuse regard regarded regarding regardless region regional
regions register registered registration regression regular regularly regulate regulation regulatory reinforce reject
rejected relate related relates relating relation relationship relative relatively release released releases relevance
relevant reliability reliable reliably relief religion religious remain remainder remained remaining remains
remarkable remember reminder remote remotely removal remove removed removes removing rename render rendered rendering
renewable rental repair repeat repeated repeatedly repeating replace replaced replacement replacing replicate reply
report reported reporting reports repository represent representation representative represented representing
reputation request requested requesting requests require required requirement requires requiring research researcher
reservation reserve reserved reset residents residual resilience resilient resistance resolution resolve resolved
resolving resort resource respect respectful respectively respond responding responds response responsibility
responsible responsive restaurant restore restored restrict restricted restriction result resulted resulting results
resume retail retain retained retention retirement retrieval retrieve retry return returned returning returns reveal
revealed revenue reverse reversed review reviewed reviewing reviews revised revision revolution revolutionary reward
rewards rewrite rhythm right rights rising risks river robust robustness rooms rotation roughly round route routes
routine rules running runtime rural safely safety salary sales sample samples sampling sandbox satisfaction satisfied
satisfy saved saving savings saying scalability scalable scale scaled scales scaling scenario scene scenes schedule
scheduling schema scheme scholars school schools science sciences scientific scientist scope score scored scores
scoring screen screenshot script scripts search searched searching season seasonal seasons seats second secondary
secondly seconds secret section sections sector secure securely security seeing seeking seems segment segments select
selected selecting selection selective semantic semester sender sending senior sense sensitive sensitivity sensor
sensors sentence sentiment separate separately separation sequence sequential series serious seriously serve served
server servers serverless serves service services serving session sessions setting settings settle setup several
severe severity shadow shallow shape shaped shapes share shared shares sharing sharp shelter shift shifting shipment
shipped shipping short shorter shortest shortly should shoulder shouldn't showcase showed showing shown shows sides
sight signal signals signature significance significant significantly signs silence silent similar similarity
similarly simple simpler simplest simplicity simplified simplify simply simulate simulation simultaneously since
single situated situation sizes skills sleep slice slight slightly slower slowly small smaller smallest smart smooth
smoothly snapshot snippet social society software solar solely solid solution solve solved solves solving somebody
somehow someone something sometimes somewhat somewhere songs sophisticated sorry sorted sorting sought sound sounds
source sources southern space spaces Spanish spatial speak speaker speakers speaking special specialist specialized
species specific specifically specification specified specify specifying spectrum speech speed spending spent spirit
spiritual split splitting spoken sports spread spring square stability stable stack stage stages stakeholder
standalone standard standing stands start started starter starting starts startup state stated statement states static
station statistical statistics status staying steady steps still stock stomach stopped stopping stops storage store
stored stores stories storing story straight straightforward strange strategic strategy streaming streamline streams
street streets strength strengthen stress strict strictly string strings strip strong stronger strongest strongly
structural structure struggle struggling student students studied studies studio study studying stuff style styles
subject subjects submission submit submitted subscribe subscription subsequent subset substantial substantially
substitute subtle suburban succeed success successful successfully sudden suddenly suffer sufficient sufficiently
suggest suggested suggesting suggestion suggests suitable summarize summary summer sunlight super superior supervised
supervision supplement supplied supplier supplies supply support supported supporting supportive supports suppose
supposed surely surface surprise surprising surprisingly surrounding survey survival survive suspect sustainability
sustainable switch switching symbol symbolic symbols symptoms synchronous syntax synthesis synthetic system systematic
systems table tables tailored taken takes taking talent talking target targeted targets taste taught teach teacher
teachers teaching teams technical technique technological technology telephone telling temperature template temporal
temporary tendency tension terminal terms terrain territory tested testing tests textbook texts texture thank thanks
theater theirs themes themselves theorem theoretical theories theory therapy thereby therefore these thing things
think thinking third thorough thoroughly those though thought thoughtful thoughts thousand thread threads threat
threats three threshold through throughout throughput throw thumb ticket tickets tight timeline timeout timeouts times
timestamp timing tired title titles today together token tokens tolerance tomorrow tonight tools topic topics total
totally touch tough tourism tourist tourists toward towards tower track tracked tracking tracks trade tradeoffs
trading tradition traditional traditionally traffic trail trained training traits transaction transcript transfer
transferred transform transformation transformed transformer transition translate translation transmission
transparency transparent transport transportation travel traveler traveling travels treat treated treatment treaty
trees tremendous trend trends trial trials triangle trigger triggered triggers trips trouble troubleshooting truly
trust trusted trying tuple turned turning turns tutorial twelve twenty twice types typical typically ultimate
ultimately unable unauthorized uncertain uncertainty underlying understand understandable understanding understood
undefined undergo unexpected unfortunately unified uniform union unique units universal universe universities
university unknown unless unlike unlikely unlimited unnecessary unstructured until unusual upcoming update updated
updates updating upgrade upload uploaded upper urban urgency urgent usage useful user's username users using usual
usually utility utilize utilizing vacation valid validate validating validation validity valley valuable value values
variable variance variant variants variation varied varies variety various vector vectors vegetables vehicle vehicles
vendor vendors verbose verification verified verify verifying version versions versus vertical vibrant video videos
viewed viewer views village virtual visibility visible vision visit visited visiting visitor visitors visual
visualization visualize visually vocabulary voice volume volumes voluntary vulnerabilities vulnerable waiting walking
walks wants warehouse warm warning warnings waste watch watched watching water waves weakness wealth weapons weather
website websites wedding weekend weekly weeks weight weighted weights welcome wellness western whatever whenever where
whereas wherever whether which while whole whose widely wider width wildlife willing window windows winter wisdom
within without women wonder wonderful wooden words worker workers workflow workforce working workload workplace works
workshop world worldwide worried worse worst worth worthwhile would wouldn't wrapper writer writers writes writing
written wrong yellow yesterday yield yields young younger yourself youth zero
"""
_PHRASES = (
    r" Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April June July August "
    r"September October November December New York San Francisco California Los Angeles London Paris France "
    r"Germany Berlin Tokyo Japan China India Europe European American United States Kingdom Canada Australia "
    r"Mexico Spain Italy Google Microsoft Amazon Apple OpenAI Anthropic Claude ChatGPT GPT-4 Gemini Python "
    r"JavaScript TypeScript Docker Kubernetes GitHub Linux PostgreSQL 2023 2024 2025 2026 https://www. http:// "
    r".com/ .org/ .html .json"
    r" as well as in order to such as due to based on according to for example, for instance, in addition, as a "
    r"result, in other words, on the other hand, at the same time, in the context of, with respect to, in terms "
    r"of, a number of, a variety of, a wide range of, one of the most, the most important, is the process of, is "
    r"a type of, can be used to, is used to, may be, might be, should be, would be, could be, must be, have been, "
    r"has been, had been, will be, there is a, there are, this is a, that is, it is important to, it's important "
    r"to note that, you can use, you want to, you need to, you have to, if you have any questions, if you'd like, "
    r"let me know if, feel free to, I would be happy to help, I'd be happy to, I'm happy to help, I don't have "
    r"access to, I'm unable to, I cannot, I can't, I am a, I'm sorry, but, I apologize for, Here are some, Here "
    r"is a, Here's a, Here's an example of how, the following, as follows: such that, so that, rather than, more "
    r"than, less than, up to, from the, to the, of the, in the, on the, for the, and the, with the, by the, at "
    r"the, is the, that the, as the, into the, with a, for a, as a, in a, of a, to a, is a, and a, it is, to be, "
    r"will have, which is, who is, what is, how to, when you, where you, what are the, how do I, can you, could "
    r"you please, please provide, please make sure to, make sure that, Let's think step by step, step-by-step, "
    r"First, Second, Third, Finally, Next, Then, However, Therefore, Additionally, Furthermore, Overall, In "
    r"summary, In conclusion, To summarize, Note that, Note: Example: Answer: Question: Summary: Yes, No,"
    r" You are a helpful assistant. You are a helpful AI assistant. You are an expert in You must Do not include "
    r"any Return only Respond with Respond in Always use Never Only answer Use the following context to answer "
    r"the user's question. If you don't know the answer, say that you don't know. Do not make up an answer. Write "
    r"a short Write a Explain Summarize the Translate the following text What is the capital of Tell me a joke "
    r"about What's the weather like in Be concise. Answer in one sentence. output in JSON format. valid JSON "
    r"object with the following"
    r"\n\n1. **\n2. **\n3. **\n4. **\n5. **:** \n   - **\n- **\n\n## \n\n### \n# \n\n---\n\n```python\nimport def "
    r"return self. class  if  else: for  in range(print(f\"\n    \"\"\"\n        \n```\n\n```json\n{\n  \""
    r"```bash\n$ function const let var async await => { });\n</ <div class=\"</div>\n| --- | --- |\n SELECT * "
    r"FROM WHERE  = None True False"
)
_JSON = (
    r'{"type":"object","properties":{"location":{"type":"string","description":"The city and state, e.g. "},"unit"'
    r':{"type":"string","enum":["celsius","fahrenheit"]},"query":{"type":"string","description":"The search query"'
    r'}},"required":["location"],"additionalProperties":false}},"strict":true,"tools":[{"type":"function","'
    r'function":{"name":"get_weather","description":"Get the current weather in a given location","parameters":{"'
    r'type":"object","properties":{}}}}],"tool_choice":"auto","parallel_tool_calls":true,"response_format":{"type"'
    r':"json_schema","json_schema":{"name":"","schema":{"items":{"type":"array","number","integer","boolean","'
    r'null","title":"anyOf":[{"$ref":"#/$defs/"default":null'
    r'{"role":"tool","tool_call_id":"call_","content":"{\"name\":\"result\": \"status\": \"error\": \"id\": "},{"'
    r'role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_","type":"function","function":{"name"'
    r':"","arguments":"{\"location\":\""}}]},{"role":"user","content":[{"type":"text","text":""},{"type":"'
    r'image_url","image_url":{"url":"data:image/png;base64,"detail":"auto"}},{"type":"thinking","thinking":"","'
    r'signature":""},{"type":"tool_use","id":"toolu_","name":"","input":{}},{"type":"tool_result","tool_use_id":"'
    r'toolu_"}],"stop_reason":"end_turn","stop_sequence":null,"cache_control":{"type":"ephemeral"},"usage":{"'
    r'input_tokens":,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":'
    r'{"prompt_messages":[{"role":"user","content":""}],"completion_message":{"role":"assistant","content":""},"'
    r'prompt_tokens":,"completion_tokens":,"latency":,"customer_identifier":"","metadata":{"generation_time":"'
    r'time_to_first_token":"log_type":"chat","status_code":200,"warnings":"thread_identifier":"custom_identifier"'
    r':"'
    r'data: {"id":"chatcmpl-","object":"chat.completion.chunk","created":17,"model":"gpt-4o-mini","service_tier":"'
    r'default","system_fingerprint":"fp_","choices":[{"index":0,"delta":{"role":"assistant","content":""},"'
    r'logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"\n\ndata: [DONE]\n\n'
    r'{"request":{"chat_completion_request":{"application_ref_name":"","action_type":"","session_id":"","'
    r'reference_id":"","user_id":"","context_query":"","params":{"model":"gpt-4o-mini","messages":[{"role":"'
    r'system","content":"You are a helpful assistant."},{"role":"user","content":""},{"role":"assistant","content"'
    r':""},{"role":"user","content":""}],"temperature":0.7,"max_tokens":1024,"top_p":1,"frequency_penalty":0,"'
    r'presence_penalty":0,"stop":null,"seed":null,"n":1,"stream":false,"stream_options":{"include_usage":true}}},"'
    r'timing_metrics":{},"final":true,"chat_completion_response":{"response":{"id":"chatcmpl-","object":"'
    r'chat.completion","created":17,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"'
    r'assistant","content":"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"'
    r'prompt_tokens":12,"completion_tokens":10,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":0,"'
    r'audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"'
    r'accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default","system_fingerprint"'
    r':"fp_"}}'
)

CHAT_WORDS = f" {' '.join(_WORDS.split())}{_PHRASES}{_JSON}".encode()
"""32 KB, all that zlib looks back at; what is likeliest comes last."""
